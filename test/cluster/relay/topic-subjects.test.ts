import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { subjectOfTopic, subjectsOfFilter } from '../../../src/cluster/relay/topic-subjects.ts'
import { subscriptionMatches } from '../../../src/topics/topic-filter.ts'
import { natsMatches } from './memory-nats.ts'

const level = fc.constantFrom(
  '',
  'a',
  'b',
  'A',
  '$aws',
  'é',
  'a.b',
  '*',
  '>',
  ' ',
  '=',
  '=61',
  '-_9',
)
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'))
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, isOpen]) => [...levels, ...(isOpen ? ['#'] : [])].join('/'))

describe('topics as subjects', () => {
  test.each([
    ['dt/7/telemetry', 'p.t.dt.7.telemetry'],
    ['/a//', 'p.t.=.a.=.='],
    ['$aws/a.b c', 'p.t.=24aws.a=2Eb=20c'],
    ['é', 'p.t.=C3=A9'],
    ['x'.repeat(1_001), 'p.long'],
  ])('%s is %s', (name, subject) => {
    expect(subjectOfTopic('p', name)).toBe(subject)
  })

  test.each([
    ['dt/+/telemetry', ['p.t.dt.*.telemetry', 'p.long']],
    ['dt/#', ['p.t.dt.>', 'p.t.dt', 'p.long']],
    ['#', ['p.t.>', 'p.long']],
    ['a', ['p.t.a']],
    ['x'.repeat(1_001), ['p.>']],
  ])('the filter %s wants %j', (name, subjects) => {
    expect(subjectsOfFilter('p', name)).toEqual(subjects)
  })

  test('a filter wants every topic that it matches, however long', () => {
    const long = fc.tuple(topic, fc.constantFrom('', 'l'.repeat(1_100)))
    fc.assert(
      fc.property(filter, long, (wanted, [start, end]) => {
        const name = start + end
        const subject = subjectOfTopic('p', name)
        const isHeard = subjectsOfFilter('p', wanted).some((each) => natsMatches(each, subject))
        expect(isHeard || !subscriptionMatches(wanted, name), `${wanted} ${name}`).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  test('two topics have two subjects', () => {
    fc.assert(
      fc.property(topic, topic, (left, right) => {
        expect(subjectOfTopic('p', left) === subjectOfTopic('p', right)).toBe(left === right)
      }),
      { numRuns: 1_000 },
    )
  })
})
