/** parse_time against what Joda-Time 2.10.14 writes, with the names of Java 17. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { numberFromText } from '../../../src/sql/values/numbers.ts'
import { call, readTable } from './call.ts'

test.for(readTable('joda-table.json'))('%s of %s in %s is %s', ([pattern, ms, zone, text]) => {
  expect(call('parse_time', pattern, BigInt(ms ?? 0), zone)).toBe(text)
})

describe('arguments', () => {
  test.for([
    ['a numeric String', '1700000000123', '22:13:20.123'],
    ['a String with decimals, cut', '1700000000123.9', '22:13:20.123'],
    ['a Decimal, to the nearest', numberFromText('1700000000123.5'), '22:13:20.124'],
    ['a Decimal with an exponent', numberFromText('1.7E12'), '22:13:20.000'],
    ['text', 'now', null],
    ['a Boolean', true, null],
    ['Null', null, null],
    ['an Array', [numberFromText('0')], null],
    ['more than a long', numberFromText('9223372036854775808'), null],
    ['less than a long', numberFromText('-9223372036854775809'), null],
    ['1E+400', numberFromText('1E400'), null],
  ] as const)('milliseconds: %s', ([, ms, text]) => {
    expect(call('parse_time', 'HH:mm:ss.SSS', ms)).toBe(text)
  })

  test.for([
    ['a number is its text', numberFromText('7'), '7'],
    ['Null', null, null],
    ['Undefined', undefined, null],
    ['a pattern of 1,000 characters', '-'.repeat(1000), '-'.repeat(1000)],
    ['a longer one', '-'.repeat(1001), null],
  ] as const)('pattern: %s', ([, pattern, text]) => {
    expect(call('parse_time', pattern, 0n)).toBe(text)
  })

  test('a zone that is Undefined or Null is no default', () => {
    expect(call('parse_time', 'HH', 0n, undefined)).toBe(null)
    expect(call('parse_time', 'HH', 0n, null)).toBe(null)
  })
})

test('whatever the pattern, the moment and the zone, nothing is thrown', () => {
  const letters = fc.string({ unit: fc.constantFrom(...Array.from(`GCYxweEyDMdaKhHkmsSzZ'[] -é`)) })
  const zone = fc.oneof(fc.constantFrom('Europe/Paris', '+01:30', 'Asia/Tehran'), fc.string())
  fc.assert(
    fc.property(letters, fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }), zone, (...values) => {
      const text = call('parse_time', ...values)
      expect(text === null || typeof text === 'string').toBe(true)
    }),
  )
})
