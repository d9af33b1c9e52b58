import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  acceptedAgain,
  acceptedAtMsOf,
  decodeSource,
  messageIdOf,
  decodeRecord,
  encodeRecord,
  isMessageOf,
  isWholeRecord,
  payloadBytesOf,
  referenceOf,
  sealRecord,
} from '../../../src/outbox/store/record-codec.ts'
import { readKey, writeKey } from '../../../src/outbox/store/record-key.ts'
import type { RecordToStore } from '../../../src/outbox/store/record-codec.ts'

function key(destinationId: number, sequence: number): Buffer {
  const bytes = Buffer.alloc(12)
  expect(writeKey([destinationId, sequence], bytes, 0)).toBe(bytes.length)
  return bytes
}

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
const epochMs = fc.nat(Number.MAX_SAFE_INTEGER).map((ms) => ms % 2 ** 48)
const name = fc.string({ unit: 'grapheme', maxLength: 40 })
const text = fc.string({ unit: 'grapheme', maxLength: 20 })
const mqtt5 = fc.record(
  {
    contentType: text,
    payloadFormatIndicator: fc.constantFrom(0 as const, 1 as const),
    responseTopic: text,
    correlationData: bytes,
    userProperties: fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 4 }),
    messageExpirySeconds: fc.nat(0xffff_ffff),
  },
  { requiredKeys: [] },
)
const source = fc.record(
  {
    messageId: name,
    topic: name,
    clientId: name,
    traceId: name,
    principal: name,
    timestampMs: epochMs,
    payload: bytes,
    republishDepth: fc.nat(10),
    mqtt5,
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
    call: name,
    source,
  },
  {
    requiredKeys: ['ruleName', 'actionIndex', 'acceptedAtMs', 'partitionKey', 'data', 'source'],
  },
)

/** The value of a record that carries its time with it. */
const encoded = ({ acceptedAtMs, ...given }: RecordToStore & { readonly acceptedAtMs: number }) =>
  encodeRecord(given, acceptedAtMs)

describe('the bytes of a record', () => {
  const data = Buffer.from('{}')
  const plain = {
    ruleName: 'r1',
    actionIndex: 3,
    acceptedAtMs: 0x0102_0304_0506,
    partitionKey: 'k',
    data,
    source: { messageId: 'm', topic: 't/u', timestampMs: 0x0a0b_0c0d_0e0f, payload: data },
  }

  test('are the documented ones', () => {
    const header = ['02', '80', '0003', '010203040506', '0a0b0c0d0e0f', '00000002']
    const lengths = ['0002', '0001', '0001', '0003', '0000', '0000', '0000']
    const texts = ['7231', '6b', '6d', '742f75']
    expect(encoded(plain).toString('hex')).toBe(
      [...header, ...lengths, '00', '00000000', ...texts, '7b7d'].join(''),
    )
    expect(key(1, 2).toString('hex')).toBe('000000010000000000000002')
  })

  test('are the documented ones, with all optional parts', () => {
    const full = encoded({
      ...plain,
      actionIndex: -1,
      partitionKey: 'é',
      explicitHashKey: '340282366920938463463374607431768211454',
      source: {
        ...plain.source,
        clientId: 'c',
        traceId: 'T',
        principal: 'p',
        republishDepth: 2,
        payload: Buffer.from('[]'),
      },
    })
    const sections = (1 + 2 + 4 + 16 + 32 + 64).toString(16)
    const header = ['02', sections, 'ffff', '010203040506', '0a0b0c0d0e0f', '00000002']
    const lengths = ['0002', '0002', '0001', '0003', '0001', '0001', '0001']
    const texts = ['7231', 'c3a9', '6d', '742f75', '63', '54', '70']
    const hashKey = 'fffffffffffffffffffffffffffffffe'
    expect(full.toString('hex')).toBe(
      [...header, ...lengths, '02', '00000000', ...texts, hashKey, '7b7d', '5b5d'].join(''),
    )
  })

  test('end with the call and its length', () => {
    const value = encoded({ ...plain, call: '{"é":1}' })
    const call = Buffer.from('{"é":1}')
    expect(value[0]).toBe(0x42)
    expect(value.subarray(1, -call.length - 4)).toEqual(encoded(plain).subarray(1))
    expect(value.subarray(-call.length - 4)).toEqual(
      Buffer.concat([call, Buffer.from([0, 0, 0, call.length])]),
    )
    expect(decodeRecord(acceptedAgain(value, 7))).toMatchObject({
      acceptedAtMs: 7,
      call: '{"é":1}',
    })
    expect(() => decodeRecord(value.subarray(0, 42))).toThrow('unknown layout')
  })

  test('end with the properties of the message and their length, before the call', () => {
    const properties = {
      payloadFormatIndicator: 1,
      messageExpirySeconds: 9,
      contentType: 'é',
      responseTopic: 'r',
      correlationData: Buffer.from([0, 255]),
      userProperties: [
        ['b', '1'],
        ['a', ''],
        ['b', '2'],
      ],
    } as const
    const block = [
      ['0101', '0200000009', '030002c3a9', '08000172', '09000200ff'],
      ['26000162000131', '260001610000', '26000162000132'],
    ].flat()
    const given = { ...plain, source: { ...plain.source, mqtt5: properties } }
    const value = encoded(given)
    expect(value[0]).toBe(0x22)
    const own = encoded(plain)
    expect(value.subarray(1, own.length)).toEqual(own.subarray(1))
    expect(value.subarray(own.length).toString('hex')).toBe(`${block.join('')}00000029`)
    const called = encoded({ ...given, call: 'c' })
    expect(called[0]).toBe(0x62)
    expect(called.subarray(value.length).toString('hex')).toBe('6300000001')
    const reference = { id: 5, bytes: value.length, dataStart: 0 }
    expect(encodeRecord(given, plain.acceptedAtMs, reference)[0]).toBe(3)
    expect(decodeSource(acceptedAgain(called, 7))).toEqual(given.source)
    value[own.length] = 7
    expect(() => decodeSource(value)).toThrow('unknown layout')
  })

  test('of a record that shares its message are the documented ones', () => {
    const own = encodeRecord(plain, plain.acceptedAtMs, { id: 2 ** 32 + 5, bytes: 9, dataStart: 0 })
    const header = ['03', '80', '0003', '010203040506', '0a0b0c0d0e0f', '00000002']
    const lengths = ['0002', '0001', '0000', '0000', '0000', '0000', '0000']
    const texts = ['7231', '6b']
    const begin = [...header, ...lengths, '00', '00000000', ...texts].join('')
    expect(own.toString('hex')).toBe(`${begin}000000010000000500000009000000007b7d`)
    expect(referenceOf(own)).toEqual({ id: 2 ** 32 + 5, bytes: 9, dataStart: 0 })
    const reference = { id: 5, bytes: 60, dataStart: 40 }
    const shared = encodeRecord(plain, plain.acceptedAtMs, reference)
    expect(shared.toString('hex')).toBe(`${begin}00000000000000050000003c00000028`)
    expect(isMessageOf(shared, 60)).toBe(true)
    expect(isMessageOf(shared, 59)).toBe(false)
    expect(() => decodeRecord(shared)).toThrow('lacks its message')
  })

  test('give back a record that shares its message, and its checksum holds both', () => {
    fc.assert(
      fc.property(record, fc.boolean(), fc.nat(), (given, hasOwnData, any) => {
        const { acceptedAtMs, ...rest } = given
        const message = encodeRecord({ ...rest, call: undefined }, 7)
        const dataStart = hasOwnData ? 0 : message.indexOf(given.data, 39)
        const reference = { id: 9, bytes: message.length, dataStart }
        const value = encodeRecord(rest, acceptedAtMs, reference)
        expect(referenceOf(value)).toEqual(reference)
        expect(isMessageOf(value, message.length)).toBe(true)
        const { source: sent, ...delivered } = given
        expect(decodeRecord(value, message)).toEqual({ call: undefined, ...delivered })
        expect(decodeSource(value, message)).toEqual(sent)
        expect(messageIdOf(value, message)).toBe(sent.messageId)
        expect(payloadBytesOf(value)).toBe(payloadBytesOf(encodeRecord(rest, acceptedAtMs)))
        sealRecord(value, 7, 8)
        const whole = Buffer.concat([key(7, 8), value])
        expect(isWholeRecord(whole.subarray(0, 12), whole.subarray(12))).toBe(true)
        const bit = any % (whole.length * 8)
        whole[bit >> 3] = (whole[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(isWholeRecord(whole.subarray(0, 12), whole.subarray(12))).toBe(false)
      }),
    )
  })

  test('of layout 3 are not taken for layout 1, of which one wrong bit makes them', () => {
    const message = encodeRecord({ ...plain, call: undefined }, 7)
    const value = encodeRecord(plain, 7, { id: 9, bytes: message.length, dataStart: 0 })
    sealRecord(value, 7, 8)
    expect(isWholeRecord(key(7, 8), value)).toBe(true)
    value[0] = (value[0] ?? 0) ^ 2
    expect(value[0]).toBe(1)
    // Its lengths fit those of layout 1, too, when it is as short as this.
    expect(isWholeRecord(key(7, 8), value)).toBe(false)
  })

  test('of layout 1 are read without a checksum, and become layout 2 when accepted again', () => {
    const value = encoded(plain)
    const former = Buffer.concat([Buffer.from([1]), value.subarray(1, 35), value.subarray(39)])
    expect(decodeRecord(former)).toEqual(decodeRecord(value))
    expect(decodeSource(former)).toEqual(plain.source)
    expect(isWholeRecord(key(1, 2), former)).toBe(true)
    expect(isWholeRecord(key(1, 2), former.subarray(0, -1))).toBe(false)
    sealRecord(former, 1, 2)
    expect(former[0]).toBe(1)
    expect(acceptedAgain(former, plain.acceptedAtMs)).toEqual(value)
  })

  test('do not fit their checksum when any bit of key or value is changed', () => {
    fc.assert(
      fc.property(record, fc.nat(), (given, any) => {
        const value = encoded(given)
        sealRecord(value, 7, 8)
        const whole = Buffer.concat([key(7, 8), value])
        expect(isWholeRecord(whole.subarray(0, 12), whole.subarray(12))).toBe(true)
        const bit = any % (whole.length * 8)
        whole[bit >> 3] = (whole[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        expect(isWholeRecord(whole.subarray(0, 12), whole.subarray(12))).toBe(false)
      }),
    )
  })

  test('hold a payload that is the data, and a trace id that is the message id, once', () => {
    const once = encoded(plain)
    const copy = { ...plain.source, payload: Buffer.from('{}'), traceId: 'm' }
    const value = encoded({ ...plain, source: copy })
    expect(value.length).toBe(once.length)
    expect(decodeSource(value)).toEqual(copy)
  })

  test('give back any record', () => {
    fc.assert(
      fc.property(record, ({ source: message, ...given }) => {
        const value = encoded({ ...given, source: message })
        expect(decodeRecord(value)).toEqual(given)
        expect(decodeSource(value)).toEqual(message)
        expect(acceptedAtMsOf(value)).toBe(given.acceptedAtMs)
        expect(payloadBytesOf(value)).toBe(
          given.data.length +
            Buffer.byteLength(given.partitionKey) +
            Buffer.byteLength(given.call ?? ''),
        )
      }),
    )
  })

  test('accepted again differ only in the time', () => {
    fc.assert(
      fc.property(record, epochMs, (given, acceptedAtMs) => {
        const value = acceptedAgain(encoded(given), acceptedAtMs)
        expect(value.equals(encoded({ ...given, acceptedAtMs }))).toBe(true)
      }),
    )
  })

  test('are refused when they are cut at any offset', () => {
    fc.assert(
      fc.property(record, fc.nat(), (given, cut) => {
        // A payload of its own has no length: it ends where the value ends.
        const value = encoded({
          ...given,
          source: { ...given.source, payload: given.data },
        })
        const end = cut % value.length
        expect(() => decodeSource(value.subarray(0, end))).toThrow(/unknown layout/)
      }),
    )
  })

  test('have keys ordered by destination, then by sequence', () => {
    const place = fc.tuple(fc.nat(0xffff_ffff), fc.maxSafeNat())
    fc.assert(
      fc.property(place, place, ([id, sequence], [otherId, otherSequence]) => {
        const expected = Math.sign(id - otherId) || Math.sign(sequence - otherSequence)
        expect(Buffer.compare(key(id, sequence), key(otherId, otherSequence))).toBe(expected)
        expect(readKey(key(id, sequence), 0)).toEqual([id, sequence])
      }),
    )
  })

  test.each([
    ['another layout', '02000003'],
    ['a cut header', '0100'],
    ['a name longer than the value', '01' + '00'.repeat(19) + '00ff' + '00'.repeat(13)],
    ['data longer than the value', '01' + '00'.repeat(18) + 'ff' + '00'.repeat(15)],
  ])('are refused with %s', (_, hex) => {
    expect(() => decodeRecord(Buffer.from(hex, 'hex'))).toThrow(/unknown layout/)
  })

  test('are refused when a partition key is longer than its length field allows', () => {
    const partitionKey = 'k'.repeat(70_000)
    expect(() => encoded({ ...plain, partitionKey })).toThrow(/does not fit/)
  })
})
