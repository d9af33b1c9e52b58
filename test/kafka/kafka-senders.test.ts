import * as fc from 'fast-check'
import type { LookupFunction } from 'node:net'
import { describe, expect, test } from 'vitest'
import { classify } from '../../src/aws/call/failure-class.ts'
import type { CallOutcome } from '../../src/aws/call/call-outcome.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createKafkaSenders } from '../../src/kafka/kafka-senders.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { apiKeys, startScriptedBroker } from './scripted-broker.ts'
import type { Script } from './scripted-broker.ts'
import { codesOf, destinationOf, noSecret, recordOf, senders } from './sending.ts'
import type { Sent } from './sending.ts'

const anyIsHere: LookupFunction = (_host, _options, callback) => callback(null, '127.0.0.1', 4)

const isPassing = (outcome: CallOutcome) =>
  !outcome.answered && classify(outcome.failure) === 'passing'

async function sendTo(script: Script, records: readonly Sent[]) {
  const broker = await startScriptedBroker(script)
  return { broker, outcome: await senders().send(broker.server, records) }
}

describe('the outcome of each record', () => {
  test('with the partitions that one broker takes and refuses', async () => {
    const { outcome } = await sendTo(
      { partitions: 4, produceError: (partition) => [0, 19, 29, 0][partition] ?? 0 },
      [{ partition: 0 }, { partition: 1 }, { partition: 2 }, { partition: 3 }, { partition: 9 }],
    )
    expect(codesOf(outcome)).toEqual([
      'ok',
      'NOT_ENOUGH_REPLICAS',
      'TOPIC_AUTHORIZATION_FAILED',
      'ok',
      'PartitionMissing',
    ])
  })

  test('with one record that is too large', async () => {
    const records = [{}, { value: 'x'.repeat(2_000) }, {}, {}].map((sent) => ({
      key: 'k',
      ...sent,
    }))
    const { outcome, broker } = await sendTo(
      { produceError: (_partition, bytes) => (bytes > 1_000 ? 10 : 0) },
      records,
    )
    expect(codesOf(outcome)).toEqual(['ok', 'MESSAGE_TOO_LARGE', 'ok', 'ok'])
    expect(broker.produced).toHaveLength(5)
  })

  test('records without key and partition are in one batch', async () => {
    const { broker } = await sendTo({ partitions: 8 }, [{}, {}, {}, {}])
    expect(broker.produced.map(({ partitions }) => partitions.length)).toEqual([1])
  })
})

describe('the errors of Kafka', () => {
  test.each([
    [3, 'UNKNOWN_TOPIC_OR_PARTITION', 'destination'],
    [5, 'LEADER_NOT_AVAILABLE', 'passing'],
    [6, 'NOT_LEADER_OR_FOLLOWER', 'passing'],
    [7, 'REQUEST_TIMED_OUT', 'passing'],
    [10, 'MESSAGE_TOO_LARGE', 'record'],
    [17, 'INVALID_TOPIC_EXCEPTION', 'record'],
    [18, 'RECORD_LIST_TOO_LARGE', 'record'],
    [19, 'NOT_ENOUGH_REPLICAS', 'passing'],
    [20, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'passing'],
    [21, 'INVALID_REQUIRED_ACKS', 'destination'],
    [29, 'TOPIC_AUTHORIZATION_FAILED', 'destination'],
    [31, 'CLUSTER_AUTHORIZATION_FAILED', 'destination'],
    [32, 'INVALID_TIMESTAMP', 'record'],
    [43, 'UNSUPPORTED_FOR_MESSAGE_FORMAT', 'record'],
    [44, 'POLICY_VIOLATION', 'destination'],
    [56, 'KAFKA_STORAGE_ERROR', 'passing'],
    [76, 'UNSUPPORTED_COMPRESSION_TYPE', 'destination'],
    [87, 'INVALID_RECORD', 'record'],
    [89, 'THROTTLING_QUOTA_EXCEEDED', 'passing'],
    [-1, 'UNKNOWN_SERVER_ERROR', 'destination'],
  ] as const)('%i is %s, which is of the class %s', async (number, code, failureClass) => {
    const { outcome } = await sendTo({ produceError: () => number }, [{}])
    expect(codesOf(outcome)).toEqual([code])
    expect(classify({ code, message: '', source: 'Kafka' })).toBe(failureClass)
    // A failure that is not of the record itself holds the whole destination back.
    expect(outcome.answered).toBe(failureClass === 'record')
  })

  test.each([
    [3, 'UNKNOWN_TOPIC_OR_PARTITION'],
    [5, 'LEADER_NOT_AVAILABLE'],
    [29, 'TOPIC_AUTHORIZATION_FAILED'],
  ])('%i of a topic', async (topicError, code) => {
    const { outcome } = await sendTo({ topicError }, [{}])
    expect(outcome).toMatchObject({ answered: false, failure: { code, source: 'Kafka' } })
  })
})

describe('the connections', () => {
  test('are shared by destinations, and closed when they are idle', async () => {
    const clock = createManualClock()
    const broker = await startScriptedBroker({})
    const { send } = senders(noSecret, clock)
    for (let call = 0; call < 3; call++) {
      expect(codesOf(await send(broker.server, [{}]))).toEqual(['ok'])
    }
    expect(broker.sockets.size).toBe(1)
    const [socket] = broker.sockets
    const closed = new Promise((resolve) => socket?.once('close', resolve))
    clock.advance(60_000)
    await closed
    expect(codesOf(await send(broker.server, [{}]))).toEqual(['ok'])
    expect(broker.sockets.size).toBe(2)
  })

  test('are made anew after the broker has closed them', async () => {
    const broker = await startScriptedBroker({})
    const { send } = senders()
    expect(codesOf(await send(broker.server, [{}]))).toEqual(['ok'])
    for (const socket of broker.sockets) socket.destroy()
    await expect
      .poll(async () => codesOf(await send(broker.server, [{}])), { timeout: 15_000 })
      .toEqual(['ok'])
  })

  test('lead where metadata says, unless no broker can be there', async () => {
    const { outcome } = await sendTo({ hosts: ['169.254.169.254'] }, [{}])
    expect(codesOf(outcome)).toEqual(['EndpointRefused'])
  })

  test('to any number of brokers are bounded', async () => {
    const hosts = Array.from({ length: 160 }, (_, index) => `broker-${index}`)
    const broker = await startScriptedBroker({ hosts, partitions: hosts.length })
    const { send } = senders(noSecret, systemClock, anyIsHere)
    const records = hosts.map((_, partition) => ({ partition }))
    expect(new Set(codesOf(await send(broker.server, records)))).toEqual(new Set(['ok']))
    const open = () => [...broker.sockets].filter(({ destroyed }) => !destroyed).length
    await expect.poll(open).toBe(128)
  })

  test('a call ends with its signal while the broker says nothing', async () => {
    const ending = new AbortController()
    const broker = await startScriptedBroker({
      on({ apiKey }) {
        if (apiKey !== apiKeys.produce) return false
        ending.abort()
        return true
      },
    })
    const outcome = await senders().send(broker.server, [{}], {}, ending.signal)
    expect(codesOf(outcome)).toEqual(['AbortError'])
  })

  test.each([
    ['nobody listens', '127.0.0.1:1', 'ECONNREFUSED'],
    ['the name does not exist', 'broker.invalid:9092', 'ENOTFOUND'],
    ['the address is of the metadata of hosts', '169.254.169.254:80', 'EndpointRefused'],
  ])('when %s', async (_name, server, code) => {
    const outcome = await senders().send(server, [{}])
    expect(['EAI_AGAIN', code]).toContain(codesOf(outcome)[0])
  })
})

describe('a broker that is none', () => {
  test.each([
    ['closes', ({ socket }) => socket.destroy()],
    ['speaks HTTP', ({ socket }) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['announces an endless answer', ({ socket }) => socket.write(Buffer.alloc(64, 0x7f))],
    ['announces an empty answer', ({ socket }) => socket.write(Buffer.alloc(8))],
    [
      'answers another request',
      ({ socket, correlationId }) => {
        const answer = Buffer.alloc(12)
        answer.writeInt32BE(8, 0)
        answer.writeInt32BE(correlationId + 1, 4)
        socket.write(answer)
      },
    ],
  ] satisfies [string, (request: Parameters<NonNullable<Script['on']>>[0]) => unknown][])(
    '%s',
    async (_name, act) => {
      for (const key of [apiKeys.apiVersions, apiKeys.metadata, apiKeys.produce]) {
        const on: Script['on'] = (request) => {
          if (request.apiKey !== key) return false
          act(request)
          return true
        }
        const { outcome } = await sendTo({ on }, [{}])
        expect(outcome).toSatisfy(isPassing)
      }
    },
  )

  test('answers with any bytes', async () => {
    let answer = Buffer.alloc(0)
    let badKey = apiKeys.apiVersions
    const broker = await startScriptedBroker({
      on({ apiKey, correlationId, socket }) {
        if (apiKey !== badKey) return false
        const header = Buffer.alloc(8)
        header.writeInt32BE(4 + answer.length, 0)
        header.writeInt32BE(correlationId, 4)
        socket.write(Buffer.concat([header, answer]))
        return true
      },
    })
    const keys = fc.constantFrom(apiKeys.apiVersions, apiKeys.metadata, apiKeys.produce)
    await fc.assert(
      fc.asyncProperty(keys, fc.uint8Array({ maxLength: 80 }), async (key, bytes) => {
        badKey = key
        answer = Buffer.from(bytes)
        const made = createKafkaSenders({ readSecret: noSecret, clock: systemClock })
        const properties = {
          'bootstrap.servers': broker.server,
          'security.protocol': 'PLAINTEXT',
        }
        const sender = made.senderFor(destinationOf(properties))
        const outcome = await sender.send([recordOf({})], new AbortController().signal)
        made.close()
        expect(codesOf(outcome)).not.toEqual(['ok'])
      }),
      { numRuns: 300 },
    )
  })
})

describe('a broker that asks for a password', () => {
  const scram = {
    'security.protocol': 'SASL_PLAINTEXT',
    'sasl.mechanism': 'SCRAM-SHA-512',
    'sasl.scram.username': 'device',
    'sasl.scram.password': 'the-password',
  }

  test('takes it', async () => {
    const broker = await startScriptedBroker({})
    const plain = {
      'security.protocol': 'SASL_PLAINTEXT',
      'sasl.mechanism': 'PLAIN',
      'sasl.plain.username': 'device',
      'sasl.plain.password': 'the-password',
    }
    expect(codesOf(await senders().send(broker.server, [{}], plain))).toEqual(['ok'])
    expect(broker.requests.slice(0, 2)).toEqual([apiKeys.saslHandshake, apiKeys.saslAuthenticate])
  })

  test.each([
    ['nothing', ''],
    ['no parameters', 'garbage'],
    ['another nonce', 'r=x,s=c2FsdA==,i=4096'],
    ['no salt', 'r=x'],
  ])('answers SCRAM with %s', async (_name, text) => {
    const broker = await startScriptedBroker({ authBytes: () => Buffer.from(text) })
    const outcome = await senders().send(broker.server, [{}], scram)
    expect(codesOf(outcome)).not.toEqual(['ok'])
    expect(JSON.stringify(outcome)).not.toContain('the-password')
  })

  test('answers SCRAM with any bytes', async () => {
    let bytes = Buffer.alloc(0)
    const broker = await startScriptedBroker({ authBytes: () => bytes })
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), async (given) => {
        bytes = Buffer.from(given)
        const made = createKafkaSenders({ readSecret: noSecret, clock: systemClock })
        const properties = { 'bootstrap.servers': broker.server, ...scram }
        const sender = made.senderFor(destinationOf(properties))
        const outcome = await sender.send([recordOf({})], new AbortController().signal)
        made.close()
        expect(codesOf(outcome)).not.toEqual(['ok'])
      }),
      { numRuns: 50 },
    )
  })
})
