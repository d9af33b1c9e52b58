import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createTopicIndex } from '../../src/topics/topic-index.ts'
import { ruleFilterMatches, subscriptionMatches } from '../../src/topics/topic-filter.ts'

const level = fc.constantFrom('a', 'b', '', '$s', 'constructor')
const topic = fc.array(level, { minLength: 1, maxLength: 5 })
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 4 }), fc.option(fc.constant('#')))
  .map(([levels, rest]) => (rest === null ? levels : [...levels, rest]))
  .filter((levels) => levels.length > 0)

/** Milliseconds of 500 lookups among so many rules. */
function bestLookupMs(rules: number): number {
  const index = createTopicIndex<{ name: string }>()
  for (let number = 0; number < rules; number += 1) {
    index.add(`site/${number}/+/telemetry`, { name: `rule_${number}` })
  }
  const turns = Array.from({ length: 20 }, () => {
    const start = performance.now()
    for (let lookup = 0; lookup < 500; lookup += 1) index.match('site/5/pump/telemetry')
    return performance.now() - start
  })
  return Math.min(...turns)
}

describe('createTopicIndex', () => {
  test.each([
    { hashMatchesParent: false, matches: ruleFilterMatches },
    { hashMatchesParent: true, matches: subscriptionMatches },
  ])(
    'finds what $matches.name finds by itself, in the order of names, also after removals',
    (of) => {
      const change = fc.record({ filter, name: fc.nat(30), keep: fc.boolean() })
      fc.assert(
        fc.property(fc.array(change, { maxLength: 60 }), fc.array(topic), (changes, topics) => {
          const index = createTopicIndex<{ name: string }>(of)
          const present = new Map<string, string>()
          for (const { filter: levels, name: number, keep } of changes) {
            const name = `rule_${number}`
            const before = present.get(name)
            if (before !== undefined) index.remove(before, name)
            present.delete(name)
            if (!keep) continue
            index.add(levels.join('/'), { name })
            present.set(name, levels.join('/'))
          }
          for (const levels of topics) {
            const expected = [...present]
              .filter(([, text]) => of.matches(text, levels.join('/')))
              .map(([name]) => name)
              .toSorted()
            expect(index.match(levels.join('/')).map((entry) => entry.name)).toEqual(expected)
          }
        }),
      )
    },
  )

  test('forgets a filter with its last rule only', () => {
    const index = createTopicIndex<{ name: string }>()
    index.add('a/b', { name: 'one' })
    index.add('a/b', { name: 'two' })
    index.remove('a/b', 'one')
    index.remove('a/b', 'absent')
    index.remove('x/y/z', 'absent')
    expect(index.match('a/b')).toEqual([{ name: 'two' }])
    index.remove('a/b', 'two')
    expect(index.match('a/b')).toEqual([])
  })

  test('looks past a thousand rules of other topics as past a few', () => {
    bestLookupMs(10)
    // A scan of all filters would take a hundred times as long.
    expect(bestLookupMs(1_000) / bestLookupMs(10)).toBeLessThan(10)
  })
})
