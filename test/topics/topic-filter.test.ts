import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  awsTopicLimits,
  findTopicFilterFault,
  ruleFilterMatches,
  subscriptionMatches,
} from '../../src/topics/topic-filter.ts'

const levels = (count: number) => Array.from({ length: count }, () => 'a').join('/')

describe('what a topic filter may be', () => {
  const raised = { topicBytesMax: 300, topicSlashesMax: 20 }
  test.each([
    ['a/+/b/#', awsTopicLimits, undefined],
    ['#', awsTopicLimits, undefined],
    ['/', awsTopicLimits, undefined],
    ['', awsTopicLimits, { at: 0, problem: 'the topic filter is empty' }],
    ['a/\0', awsTopicLimits, { at: 2, problem: 'the topic filter holds U+0000' }],
    ['a'.repeat(256), awsTopicLimits, undefined],
    [
      'a'.repeat(257),
      awsTopicLimits,
      { at: 0, problem: 'the topic filter is longer than 256 bytes' },
    ],
    [
      'é'.repeat(129),
      awsTopicLimits,
      { at: 0, problem: 'the topic filter is longer than 256 bytes' },
    ],
    ['a'.repeat(300), raised, undefined],
    [levels(8), awsTopicLimits, undefined],
    [levels(9), awsTopicLimits, { at: 0, problem: 'the topic filter has more than 7 slashes' }],
    [levels(21), raised, undefined],
    [levels(22), raised, { at: 0, problem: 'the topic filter has more than 20 slashes' }],
    ['a/#/b', awsTopicLimits, { at: 2, problem: "'#' is the last level of a topic filter" }],
    ['a/b+', awsTopicLimits, { at: 2, problem: expect.stringContaining("'+' and '#'") }],
    ['##', awsTopicLimits, { at: 0, problem: expect.stringContaining("'+' and '#'") }],
  ] as const)('%j', (filter, limits, fault) => {
    expect(findTopicFilterFault(filter, limits)).toEqual(fault)
  })
})

describe('which topics a filter matches, for a rule and for an MQTT client', () => {
  test.each([
    ['a/b', 'a/b', true, true],
    ['a/b', 'a/B', false, false],
    ['a/b', 'a/b/', false, false],
    ['a/b', 'a', false, false],
    ['a', 'a/b', false, false],
    ['a/+', 'a/b', true, true],
    ['a/+', 'a/', true, true],
    ['a/+', 'a', false, false],
    ['a/+/c', 'a//c', true, true],
    ['+/+', '/', true, true],
    ['+', 'a', true, true],
    ['+', 'a/b', false, false],
    ['#', 'a', true, true],
    ['#', '/a/b', true, true],
    ['a/#', 'a/', true, true],
    ['a/#', 'a/b', true, true],
    ['a/#', 'a/b/c', true, true],
    ['a/#', 'ab', false, false],
    ['a/#', 'a', false, true],
    ['+/#', 'a/b', true, true],
    ['+/#', 'a', false, true],
    ['#', '$aws/things/x', false, false],
    ['+/things/x', '$aws/things/x', false, false],
    ['$aws/#', '$aws/things/x', true, true],
    ['$aws/+/x', '$aws/things/x', true, true],
    ['a/+', 'a/$b', true, true],
    ['a/#', 'a/$b', true, true],
  ])('%s on %s: %s, %s', (filter, topic, matchesForRule, matchesForClient) => {
    expect(ruleFilterMatches(filter, topic)).toBe(matchesForRule)
    expect(subscriptionMatches(filter, topic)).toBe(matchesForClient)
  })

  test('a filter without wildcards matches itself alone; the two differ in the parent alone', () => {
    const level = fc.constantFrom('a', 'b', '', '$s')
    const path = fc.array(level, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
    const wild = fc.oneof(level, fc.constant('+'))
    const filters = fc
      .tuple(fc.array(wild, { minLength: 1, maxLength: 3 }), fc.boolean())
      .map(([parts, endsInHash]) => [...parts, ...(endsInHash ? ['#'] : [])].join('/'))
    fc.assert(
      fc.property(path, path, filters, (topic, other, filter) => {
        expect(ruleFilterMatches(topic, other)).toBe(topic === other)
        const isParent = filter.endsWith('/#') && subscriptionMatches(filter.slice(0, -2), topic)
        expect(subscriptionMatches(filter, topic)).toBe(
          ruleFilterMatches(filter, topic) || isParent,
        )
      }),
    )
  })
})
