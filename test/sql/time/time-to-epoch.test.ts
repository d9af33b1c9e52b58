/** time_to_epoch against what java.time of Java 17 reads, where JDK 11 reads the same. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { numberFromText } from '../../../src/sql/values/numbers.ts'
import { call, readTable } from './call.ts'

test.for(readTable('java-table.json'))('%s by %s is %s', ([text, pattern, ms]) => {
  expect(call('time_to_epoch', text, pattern)).toBe(ms)
})

describe('where JDK 11 is not as later ones', () => {
  test('B is no letter, and a half of the day alone is no time', () => {
    expect(call('time_to_epoch', '2024-07-01 in the morning', 'yyyy-MM-dd B')).toBe(null)
    expect(call('time_to_epoch', '2024-07-01 PM', 'yyyy-MM-dd a')).toBe('1719792000000')
  })
})

describe('arguments', () => {
  test.for([
    ['a number is its text', numberFromText('20240701'), 'yyyyMMdd', '1719792000000'],
    ['Null', null, 'yyyyMMdd', null],
    ['Undefined', undefined, 'yyyyMMdd', null],
    ['a pattern that is Undefined', '2024', undefined, null],
    [
      'a pattern of more than 1,000 characters',
      '2024-07-01',
      `yyyy-MM-dd${'[]'.repeat(500)}`,
      null,
    ],
  ] as const)('%s', ([, text, pattern, ms]) => {
    expect(call('time_to_epoch', text, pattern)).toBe(ms)
  })
})

test('sections in sections are read however deep they are', () => {
  const depth = 450
  const pattern = `yyyy-MM-dd${'['.repeat(depth)}X${']'.repeat(depth)}`
  expect(call('time_to_epoch', '2024-07-01+01', pattern)).toBe('1719788400000')
})

test('whatever the text and the pattern, nothing is thrown', () => {
  const letters = fc.string({
    unit: fc.constantFrom(...Array.from(`GuyDMdQYwWEecFaHkKhmsSAnNgVzOXxZp'[]-: `)),
  })
  const texts = fc.string({ unit: fc.constantFrom(...Array.from('0123456789-+:.GMTZUC ')) })
  fc.assert(
    fc.property(texts, letters, (text, pattern) => {
      const ms = call('time_to_epoch', text, pattern)
      expect(ms === null || typeof ms === 'string').toBe(true)
    }),
  )
})

test('what parse_time writes, time_to_epoch reads', () => {
  const pattern = 'yyyy-MM-dd HH:mm:ss.SSS'
  fc.assert(
    fc.property(
      fc.integer({ min: -62_135_596_800_000, max: 253_402_000_000_000 }),
      fc.constantFrom('UTC', 'Europe/Paris', 'America/St_Johns', 'Asia/Kathmandu', '-11:45'),
      (ms, zone) => {
        // Offsets with seconds, as of local mean time, have no letter in Joda-Time.
        fc.pre(ms > 0 || zone === 'UTC')
        const text = call('parse_time', `${pattern} ZZ`, BigInt(ms), zone)
        expect(call('time_to_epoch', text, `${pattern} XXX`)).toBe(String(ms))
        expect(call('time_to_epoch', text, `${pattern} xxx`)).toBe(String(ms))
      },
    ),
  )
})
