import { describe, expect, test } from 'vitest'
import {
  InvalidPattern,
  compileFilterPattern,
  membersOfPattern,
} from '../../../src/event-source/filters/filter-pattern.ts'
import { createRecordFilter } from '../../../src/event-source/filters/record-filter.ts'

const textOf = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))

/** @param pattern and data as text, or as what JSON makes a text of */
const accepts = (pattern: unknown, data: unknown, partitionKey = 'k') =>
  createRecordFilter([textOf(pattern)])({
    partitionKey,
    sequenceNumber: '7',
    approximateArrivalMs: 1_700_000_000_250,
    data: Buffer.from(textOf(data)),
  })

const reading = {
  id: 'a-7',
  temp: 61.5,
  on: true,
  none: null,
  tags: ['x', 'y'],
  at: { site: 'Roof' },
  parts: [{ name: 'a' }, { name: 'b', size: 1 }],
  nothing: [],
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
    ['an object of a list', { parts: { name: ['b'], size: [1] } }, true],
    ['not the members of two objects of a list', { parts: { name: ['a'], size: [1] } }, false],
    ['a prefix', { id: [{ prefix: 'a-' }] }, true],
    ['no other prefix', { id: [{ prefix: 'b-' }] }, false],
    ['a suffix', { id: [{ suffix: '-7' }] }, true],
    ['a text in any case', { at: { site: [{ 'equals-ignore-case': 'rOOF' }] } }, true],
    ['a range of numbers', { temp: [{ numeric: ['>', 60, '<=', 61.5] }] }, true],
    ['nothing outside of it', { temp: [{ numeric: ['>', 61.5] }] }, false],
    ['an equal number', { temp: [{ numeric: ['=', 61.5] }] }, true],
    ['no text in a range', { id: [{ numeric: ['>', 0] }] }, false],
    ['no object in a range', { at: [{ numeric: ['>', 0] }] }, false],
    ['what is there', { temp: [{ exists: true }] }, true],
    ['null, which is there', { none: [{ exists: true }] }, true],
    ['an empty list, which is there', { nothing: [{ exists: true }] }, true],
    ['no object, which is no leaf', { at: [{ exists: true }] }, false],
    ['no list of objects', { parts: [{ exists: true }] }, false],
    ['what is not there', { absent: [{ exists: false }] }, true],
    ['an object, where no leaf is', { at: [{ exists: false }] }, true],
    ['nothing that should not be there', { temp: [{ exists: false }] }, false],
    ['anything but a text', { id: [{ 'anything-but': ['a-7'] }] }, false],
    ['anything but others', { id: [{ 'anything-but': ['b', 'c'] }] }, true],
    ['anything but a number', { temp: [{ 'anything-but': [61.5] }] }, false],
    ['anything but a prefix', { id: [{ 'anything-but': { prefix: 'b' } }] }, true],
    ['nothing that is absent, for anything-but', { absent: [{ 'anything-but': ['x'] }] }, false],
    ['no object, for anything-but', { at: [{ 'anything-but': ['x'] }] }, false],
    ['either of two', { $or: [{ temp: [{ numeric: ['>', 100] }] }, { id: ['a-7'] }] }, true],
    ['neither of two', { $or: [{ temp: [1] }, { id: ['b'] }] }, false],
  ])('%s', (_, data, expected) => {
    expect(accepts({ data }, reading)).toBe(expected)
  })
})

describe('numbers are compared', () => {
  test.each([
    ['by their text', '{"data":{"n":[300]}}', '{"n":300.0}', false],
    ['by their text, with an exponent', '{"data":{"n":[300]}}', '{"n":3e2}', false],
    ['by their text, which is the same', '{"data":{"n":[300.0]}}', '{"n":300.0}', true],
    ['with every digit', '{"data":{"n":[9007199254740992]}}', '{"n":9007199254740993}', false],
    [
      'with every digit, and equal',
      '{"data":{"n":[9007199254740993]}}',
      '{"n":9007199254740993}',
      true,
    ],
    [
      'by their text in anything-but',
      '{"data":{"n":[{"anything-but":[300]}]}}',
      '{"n":300.0}',
      true,
    ],
    ['by their value in numeric', '{"data":{"n":[{"numeric":["=",300]}]}}', '{"n":3.0e2}', true],
    [
      'by their exact value in numeric',
      '{"data":{"n":[{"numeric":[">",9007199254740992]}]}}',
      '{"n":9007199254740993}',
      true,
    ],
  ])('%s', (_, pattern, data, expected) => {
    expect(accepts(pattern, data)).toBe(expected)
  })
})

const either = (key: string) => [{ data: { a: [1] } }, { partitionKey: [key] }]

describe('one matcher sees the whole record', () => {
  test.each([
    ['JSON, and a pattern of its members', { data: { a: [1] } }, '{"a":1}', true],
    ['text, and a pattern of data', { data: { a: [1] } }, 'plain', false],
    ['text, and a pattern of what is not there', { data: { a: [{ exists: false }] } }, 'x', false],
    ['text, and anything but', { data: { a: [{ 'anything-but': [1] }] } }, 'x', false],
    ['a list of JSON', { data: { a: [2] } }, '[{"a":1},{"a":2}]', true],
    ['any data, and the key', { partitionKey: ['k'] }, 'plain', true],
    ['any data, and another key', { partitionKey: ['other'] }, 'plain', false],
    ['both', { partitionKey: ['k'], data: { a: [1] } }, '{"a":1}', true],
    ['either of data and key, by data', { $or: either('other') }, '{"a":1}', true],
    ['either of data and key, by key', { $or: either('k') }, 'plain', true],
    ['neither of data and key', { $or: either('other') }, '{"a":2}', false],
    ['$or at the root beside data', { $or: either('k'), data: { b: [1] } }, '{"b":1}', true],
    ['the number', { sequenceNumber: ['7'] }, '', true],
    [
      'the time of arrival',
      { approximateArrivalTimestamp: [{ numeric: ['>', 1_700_000_000] }] },
      '',
      true,
    ],
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
    ['a list for data, which would compare text', '{"data": ["text"]}'],
    ['a comparison for data', '{"data": [{"prefix": "x"}]}'],
    ['a list for data in $or', '{"$or": [{"data": ["text"]}, {"partitionKey": ["k"]}]}'],
    ['an unknown comparison', '{"data": {"a": [{"regex": "x"}]}}'],
    ['the name of what every object has', '{"data": {"a": [{"constructor": "x"}]}}'],
    ['an operator of that name', '{"data": {"a": [{"numeric": ["constructor", 1]}]}}'],
    ['two comparisons in one', '{"data": {"a": [{"prefix": "x", "suffix": "y"}]}}'],
    ['a half range', '{"data": {"a": [{"numeric": [">"]}]}}'],
    ['an $or of one', '{"data": {"$or": [{"a": [1]}]}}'],
    ['an $or with nothing in it', '{"data": {"$or": [{}, {"a": [1]}]}}'],
    ['a prefix of a number', '{"data": {"a": [{"prefix": 1}]}}'],
  ])('%s', (_, text) => {
    expect(() => compileFilterPattern(text)).toThrow(InvalidPattern)
  })
})

test('the members that a pattern reads are known, also in $or', () => {
  const pattern = { $or: [{ data: { x: [1] } }, { partitionKey: ['k'] }], eventID: ['1'] }
  expect(membersOfPattern(JSON.stringify(pattern))).toEqual(['data', 'partitionKey', 'eventID'])
})
