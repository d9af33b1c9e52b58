import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  acceptedAtMsOf,
  decodeRecord,
  destinationIdOf,
  encodeRecord,
  payloadBytesOf,
  sequenceOf,
  writeKey,
} from '../../src/outbox/record-codec.ts'

const key = (destinationId: number, sequence: number) =>
  writeKey(Buffer.alloc(12), destinationId, sequence)

describe('the bytes of a record', () => {
  it('are the documented ones', () => {
    const value = encodeRecord({
      ruleName: 'r1',
      actionIndex: 3,
      acceptedAtMs: 0x0102_0304_0506,
      partitionKey: 'é',
      data: Buffer.from('{}'),
    })
    expect(value.toString('hex')).toBe(
      ['01', '00', '0003', '010203040506', '0002', '0002', '7231', 'c3a9', '7b7d'].join(''),
    )
    expect(key(1, 2).toString('hex')).toBe('000000010000000000000002')
  })

  it('give back any record', () => {
    const record = fc.record({
      ruleName: fc.stringMatching(/^[a-zA-Z0-9_]{1,128}$/),
      actionIndex: fc.nat(9),
      acceptedAtMs: fc.nat(Number.MAX_SAFE_INTEGER).map((ms) => ms % 2 ** 48),
      partitionKey: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 256 }),
      data: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    })
    fc.assert(
      fc.property(record, (given) => {
        const value = encodeRecord(given)
        expect(decodeRecord(value)).toEqual(given)
        expect(acceptedAtMsOf(value)).toBe(given.acceptedAtMs)
        expect(payloadBytesOf(value)).toBe(
          given.data.length + Buffer.byteLength(given.partitionKey),
        )
      }),
    )
  })

  it('give keys that stand by destination, then by sequence', () => {
    const place = fc.tuple(fc.nat(0xffff_ffff), fc.maxSafeNat())
    fc.assert(
      fc.property(place, place, ([id, sequence], [otherId, otherSequence]) => {
        const expected = Math.sign(id - otherId) || Math.sign(sequence - otherSequence)
        expect(Buffer.compare(key(id, sequence), key(otherId, otherSequence))).toBe(expected)
        expect(destinationIdOf(key(id, sequence))).toBe(id)
        expect(sequenceOf(key(id, sequence))).toBe(sequence)
      }),
    )
  })

  it.each([
    ['another layout', '02000003'],
    ['an unknown section', '01010000000000000000000000000000'],
    ['a cut header', '0100'],
    ['a name longer than the value', '0100000000000000000000ff0000'],
  ])('are refused with %s', (_, hex) => {
    expect(() => decodeRecord(Buffer.from(hex, 'hex'))).toThrow(/unknown layout/)
  })

  it('are refused for a partition key that is longer than its length can say', () => {
    const partitionKey = 'k'.repeat(70_000)
    const record = { ruleName: 'r', actionIndex: 0, acceptedAtMs: 0, data: Buffer.alloc(0) }
    expect(() => encodeRecord({ ...record, partitionKey })).toThrow(/does not fit/)
  })
})
