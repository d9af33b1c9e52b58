import type { IPublishPacket } from 'mqtt-packet'
import { describe, expect, test } from 'vitest'
import type { IngressOptions } from '../../../src/ingress/ingress.ts'
import { connectPacket, connectRaw, openRaw, publishPacket, startIngress } from '../helpers.ts'

const levels = (count: number) => Array(count).fill('x').join('/')
/** 85 characters of three bytes, and one of one. */
const bytes256 = `${'€'.repeat(85)}a`
const ingest = '$aws/rules/rule'

const filters = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ topic: `f/${index}/+`, qos: 1 as const }))

describe('a PUBLISH', () => {
  const cases: [string, Partial<IPublishPacket>, Partial<IngressOptions>, boolean][] = [
    ['a topic of 256 bytes', { topic: bytes256 }, {}, true],
    ['a topic of 257 bytes', { topic: `${bytes256}a` }, {}, false],
    ['the same with the limit raised', { topic: `${bytes256}a` }, { topicBytesMax: 257 }, true],
    ['7 slashes', { topic: levels(8) }, {}, true],
    ['8 slashes', { topic: levels(9) }, {}, false],
    ['the same with the limit raised', { topic: levels(9) }, { topicSlashesMax: 8 }, true],
    ['Basic Ingest and 256 bytes', { topic: `${ingest}/${bytes256}` }, {}, true],
    ['Basic Ingest and 257 bytes', { topic: `${ingest}/${bytes256}a` }, {}, false],
    ['Basic Ingest and 7 slashes', { topic: `${ingest}/${levels(8)}` }, {}, true],
    ['Basic Ingest and 8 slashes', { topic: `${ingest}/${levels(9)}` }, {}, false],
    ['128 KiB', { payload: Buffer.alloc(131_072) }, {}, true],
    ['a byte more', { payload: Buffer.alloc(131_073) }, {}, false],
    [
      'the same with the limit raised',
      { payload: Buffer.alloc(131_073) },
      { payloadBytesMax: 262_144 },
      true,
    ],
    [
      'the longest topic and the largest payload',
      { topic: `$aws/rules/${'r'.repeat(128)}/${bytes256}`, payload: Buffer.alloc(131_072) },
      {},
      true,
    ],
  ]
  test.each(cases)('of %s', async (_name, packet, options, isTaken) => {
    const { port, messages } = await startIngress(undefined, options)
    const client = await connectRaw(port)
    client.send(publishPacket(packet), { cmd: 'disconnect' })
    await client.closed
    expect(messages.length).toBe(isTaken ? 1 : 0)
    expect(client.waiting.length).toBe(isTaken ? 1 : 0)
  })
})

describe('a SUBSCRIBE', () => {
  test.each([
    [8, {}],
    [20, { filtersPerSubscribeMax: 20 }],
  ])('of %i filters is granted with %j', async (count, options) => {
    const { port } = await startIngress(undefined, options)
    const client = await connectRaw(port)
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: filters(count) })
    expect(await client.next()).toMatchObject({ cmd: 'suback', granted: Array(count).fill(1) })
  })

  test('of 9 filters ends the connection', async () => {
    const { port, warnings, metric } = await startIngress()
    const client = await connectRaw(port)
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: filters(9) })
    await client.closed
    expect(client.waiting).toEqual([])
    expect(warnings()).toMatchObject([
      { reason: 'too_many_filters', detail: 'a SUBSCRIBE of more than 8 filters' },
    ])
    expect(await metric('mqttConnectionsRefused', { reason: 'too_many_filters' })).toBe(1)
  })

  test.each([
    ['256 bytes', { topic: bytes256 }, {}, 1],
    ['257 bytes', { topic: `${bytes256}a` }, {}, 0x80],
    ['257 bytes with the limit raised', { topic: `${bytes256}a` }, { topicBytesMax: 257 }, 1],
    ['8 slashes', { topic: levels(9) }, {}, 0x80],
    ['8 slashes with the limit raised', { topic: levels(9) }, { topicSlashesMax: 8 }, 1],
  ])('to a filter of %s', async (_name, { topic }, options, granted) => {
    const { port } = await startIngress(undefined, options)
    const client = await connectRaw(port)
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 1 }] })
    expect(await client.next()).toMatchObject({ cmd: 'suback', granted: [granted] })
  })
})

test.each([
  [128, {}, 0],
  [129, {}, 2],
  [129, { clientIdBytesMax: 200 }, 0],
])('a client id of %i bytes with %j: CONNACK %i', async (length, options, returnCode) => {
  const { port } = await startIngress(undefined, options)
  const client = await openRaw(port)
  client.send(connectPacket({ clientId: 'c'.repeat(length) }))
  expect(await client.next()).toMatchObject({ cmd: 'connack', returnCode })
})

test('as deep a topic as can be asked for goes through the broker, also by Basic Ingest', async () => {
  /** The most that SLUICE_MQTT_TOPIC_SLASHES_MAX takes. */
  const deepest = 96
  const { port, messages } = await startIngress(undefined, { topicSlashesMax: deepest })
  const client = await connectRaw(port)
  client.send(publishPacket({ topic: levels(deepest + 1) }))
  expect(await client.next()).toMatchObject({ cmd: 'puback' })
  client.send(publishPacket({ topic: `${ingest}/${levels(deepest + 1)}` }))
  expect(await client.next()).toMatchObject({ cmd: 'puback' })
  expect(messages.length).toBe(2)
})
