import { describe, expect, test } from 'vitest'
import { InvalidPattern, compileFilterPattern } from '../../src/event-source/filter-pattern.ts'

const accepts = (pattern: unknown, data: unknown, partitionKey = 'k') =>
  compileFilterPattern(JSON.stringify(pattern))({
    partitionKey,
    data: Buffer.from(typeof data === 'string' ? data : JSON.stringify(data)),
  })

const reading = {
  id: 'a-7',
  temp: 61.5,
  on: true,
  none: null,
  tags: ['x', 'y'],
  at: { site: 'Roof' },
  empty: '',
}

describe('a pattern on JSON data accepts', () => {
  test.each([
    ['a text', { id: ['a-7'] }, true],
    ['one of several', { id: ['b', 'a-7'] }, true],
    ['nothing else', { id: ['b'] }, false],
    ['a number', { temp: [61.5] }, true],
    ['no number for a text', { temp: ['61.5'] }, false],
    ['true', { on: [true] }, true],
    ['null', { none: [null] }, true],
    ['an empty text', { empty: [''] }, true],
    ['no null for what is not there', { absent: [null] }, false],
    ['all members together', { id: ['a-7'], temp: [1] }, false],
    ['a deeper member', { at: { site: ['Roof'] } }, true],
    ['a deeper member that is not there', { at: { place: ['Roof'] } }, false],
    ['an element of a list', { tags: ['y'] }, true],
    ['a prefix', { id: [{ prefix: 'a-' }] }, true],
    ['no other prefix', { id: [{ prefix: 'b-' }] }, false],
    ['a suffix', { id: [{ suffix: '-7' }] }, true],
    ['a text in any case', { at: { site: [{ 'equals-ignore-case': 'rOOF' }] } }, true],
    ['a range of numbers', { temp: [{ numeric: ['>', 60, '<=', 61.5] }] }, true],
    ['nothing outside of it', { temp: [{ numeric: ['>', 61.5] }] }, false],
    ['an equal number', { temp: [{ numeric: ['=', 61.5] }] }, true],
    ['no text in a range', { id: [{ numeric: ['>', 0] }] }, false],
    ['what is there', { temp: [{ exists: true }] }, true],
    ['what is not there', { absent: [{ exists: false }] }, true],
    ['nothing that should not be there', { temp: [{ exists: false }] }, false],
    ['anything but a text', { id: [{ 'anything-but': ['a-7'] }] }, false],
    ['anything but others', { id: [{ 'anything-but': ['b', 'c'] }] }, true],
    ['anything but a prefix', { id: [{ 'anything-but': { prefix: 'b' } }] }, true],
    ['nothing that is absent, for anything-but', { absent: [{ 'anything-but': ['x'] }] }, false],
    ['either of two', { $or: [{ temp: [{ numeric: ['>', 100] }] }, { id: ['a-7'] }] }, true],
    ['neither of two', { $or: [{ temp: [1] }, { id: ['b'] }] }, false],
  ])('%s', (_, data, expected) => {
    expect(accepts({ data }, reading)).toBe(expected)
  })
})

describe('which data a pattern is for', () => {
  test.each([
    ['JSON, a pattern of JSON', { data: { a: [1] } }, '{"a":1}', true],
    ['text, a pattern of JSON', { data: { a: [{ exists: false }] } }, 'plain', false],
    ['text, a pattern of text', { data: ['plain'] }, 'plain', true],
    ['other text', { data: [{ prefix: 'x' }] }, 'plain', false],
    ['JSON, a pattern of text', { data: [{ exists: true }] }, '{"a":1}', false],
    ['any data, a pattern of the key', { partitionKey: ['k'] }, 'plain', true],
    ['any data, another key', { partitionKey: ['other'] }, 'plain', false],
    ['both', { partitionKey: ['k'], data: { a: [1] } }, '{"a":1}', true],
  ])('%s', (_, pattern, data, expected) => {
    expect(accepts(pattern, data)).toBe(expected)
  })
})

describe('no pattern is', () => {
  test.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['an empty object', '{}'],
    ['a value instead of a list', '{"data": {"a": 1}}'],
    ['an empty list', '{"data": {"a": []}}'],
    ['an unknown comparison', '{"data": {"a": [{"regex": "x"}]}}'],
    ['two comparisons in one', '{"data": {"a": [{"prefix": "x", "suffix": "y"}]}}'],
    ['a half range', '{"data": {"a": [{"numeric": [">"]}]}}'],
    ['an $or of one', '{"data": {"$or": [{"a": [1]}]}}'],
    ['a prefix of a number', '{"data": {"a": [{"prefix": 1}]}}'],
  ])('%s', (_, text) => {
    expect(() => compileFilterPattern(text)).toThrow(InvalidPattern)
  })
})
