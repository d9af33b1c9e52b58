import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  acceptedAgain,
  acceptedAtMsOf,
  decodeOrigin,
  decodeRecord,
  destinationIdOf,
  encodeRecord,
  payloadBytesOf,
  sequenceOf,
  writeKey,
} from '../../src/outbox/record-codec.ts'

const key = (destinationId: number, sequence: number) =>
  writeKey(Buffer.alloc(12), destinationId, sequence)

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
const epochMs = fc.nat(Number.MAX_SAFE_INTEGER).map((ms) => ms % 2 ** 48)
const name = fc.string({ unit: 'grapheme', maxLength: 40 })
const origin = fc.record(
  {
    messageId: name,
    topic: name,
    clientId: name,
    traceId: name,
    principal: name,
    timestampMs: epochMs,
    payload: bytes,
    republishDepth: fc.nat(10),
  },
  { requiredKeys: ['messageId', 'topic', 'timestampMs', 'payload'] },
)
const record = fc.record(
  {
    ruleName: fc.stringMatching(/^[a-zA-Z0-9_]{1,128}$/),
    actionIndex: fc.integer({ min: -1, max: 9 }),
    acceptedAtMs: epochMs,
    partitionKey: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 256 }),
    explicitHashKey: fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map(String),
    data: bytes,
    origin,
  },
  {
    requiredKeys: ['ruleName', 'actionIndex', 'acceptedAtMs', 'partitionKey', 'data', 'origin'],
  },
)

describe('the bytes of a record', () => {
  const data = Buffer.from('{}')
  const plain = {
    ruleName: 'r1',
    actionIndex: 3,
    acceptedAtMs: 0x0102_0304_0506,
    partitionKey: 'é',
    data,
    origin: { messageId: 'm', topic: 't/u', timestampMs: 0x0a0b_0c0d_0e0f, payload: data },
  }
  const header = ['0003', '010203040506', '0002', '0002', '00000002', '7231', 'c3a9']

  it('are the documented ones', () => {
    expect(encodeRecord(plain).toString('hex')).toBe(
      ['01', '00', ...header, '7b7d', '0a0b0c0d0e0f', '0001', '6d', '0003', '742f75'].join(''),
    )
    expect(key(1, 2).toString('hex')).toBe('000000010000000000000002')
  })

  it('are the documented ones, with all that may be there', () => {
    const full = encodeRecord({
      ...plain,
      actionIndex: -1,
      explicitHashKey: '340282366920938463463374607431768211454',
      origin: {
        ...plain.origin,
        clientId: 'c',
        traceId: 'T',
        principal: 'p',
        republishDepth: 2,
        payload: Buffer.from('[]'),
      },
    })
    const texts = ['0001', '6d', '0003', '742f75', '0001', '63', '0001', '54', '0001', '70']
    const hashKey = 'fffffffffffffffffffffffffffffffe'
    expect(full.toString('hex')).toBe(
      [
        '01',
        (1 + 2 + 4 + 16 + 32 + 64).toString(16),
        'ffff',
        ...header.slice(1),
        hashKey,
        '7b7d',
        '0a0b0c0d0e0f',
        ...texts,
        '02',
        '5b5d',
      ].join(''),
    )
  })

  it('hold a payload that is the data, and a trace id that is the message id, once', () => {
    const once = encodeRecord(plain)
    const copy = { ...plain.origin, payload: Buffer.from('{}'), traceId: 'm' }
    const value = encodeRecord({ ...plain, origin: copy })
    expect(value.length).toBe(once.length)
    expect(decodeOrigin(value)).toEqual(copy)
  })

  it('give back any record', () => {
    fc.assert(
      fc.property(record, ({ origin: message, ...given }) => {
        const value = encodeRecord({ ...given, origin: message })
        expect(decodeRecord(value)).toEqual(given)
        expect(decodeOrigin(value)).toEqual(message)
        expect(acceptedAtMsOf(value)).toBe(given.acceptedAtMs)
        expect(payloadBytesOf(value)).toBe(
          given.data.length + Buffer.byteLength(given.partitionKey),
        )
      }),
    )
  })

  it('accepted again are the same but for the time', () => {
    fc.assert(
      fc.property(record, epochMs, (given, acceptedAtMs) => {
        const value = acceptedAgain(encodeRecord(given), acceptedAtMs)
        expect(value.equals(encodeRecord({ ...given, acceptedAtMs }))).toBe(true)
      }),
    )
  })

  it('are refused when they are cut, wherever that is', () => {
    fc.assert(
      fc.property(record, fc.nat(), (given, cut) => {
        // A payload of its own has no length: it ends where the value ends.
        const value = encodeRecord({
          ...given,
          origin: { ...given.origin, payload: given.data },
        })
        const end = cut % value.length
        expect(() => decodeOrigin(value.subarray(0, end))).toThrow(/unknown layout/)
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
    ['an unknown section', '0180' + '00'.repeat(40)],
    ['a cut header', '0100'],
    ['a name longer than the value', '0100000000000000000000ff000000000000'],
    ['data longer than the value', '0100000000000000000000000000000000ff' + '00'.repeat(8)],
  ])('are refused with %s', (_, hex) => {
    expect(() => decodeRecord(Buffer.from(hex, 'hex'))).toThrow(/unknown layout/)
  })

  it('are refused for a partition key that is longer than its length can say', () => {
    const partitionKey = 'k'.repeat(70_000)
    expect(() => encodeRecord({ ...plain, partitionKey })).toThrow(/does not fit/)
  })
})
