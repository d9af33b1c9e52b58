import mqtt from 'mqtt'
import { describe, expect, test } from 'vitest'
import {
  connectPacket,
  connectRaw,
  encode,
  openRaw,
  publishPacket,
  rawPublish,
  remainingLength,
  startIngress,
} from './helpers.ts'

const payloadBytesMax = 128 * 1024
const levels = (count: number) => Array(count).fill('a').join('/')

describe('an invalid PUBLISH', () => {
  const bad: [name: string, reason: string, bytes: Buffer][] = [
    [
      'a payload one byte over 128 KiB',
      'payload_too_large',
      encode(publishPacket({ topic: 'big', payload: Buffer.alloc(payloadBytesMax + 1) })),
    ],
    [
      'the beginning alone of a PUBLISH of 256 MB',
      'payload_too_large',
      Buffer.concat([Buffer.from([0x32]), remainingLength(268_435_455), Buffer.from('\0\x03big')]),
    ],
    ['a topic of 257 bytes', 'topic_invalid', encode(publishPacket({ topic: 'x'.repeat(257) }))],
    ['a topic of 60,000 bytes', 'topic_invalid', rawPublish(Buffer.alloc(60_000, 97))],
    [
      'a topic over every limit in a PUBLISH that is too large',
      'topic_invalid',
      Buffer.concat([Buffer.from([0x32]), remainingLength(2_000_000), Buffer.from([0xff, 0xff])]),
    ],
    ['8 slashes', 'topic_invalid', encode(publishPacket({ topic: levels(9) }))],
    ['an empty topic', 'topic_invalid', rawPublish(Buffer.alloc(0))],
    ['the wildcard +', 'topic_invalid', rawPublish(Buffer.from('a/+'))],
    ['the wildcard #', 'topic_invalid', rawPublish(Buffer.from('a/#'))],
    ['U+0000 in the topic', 'topic_invalid', rawPublish(Buffer.from('a\0b'))],
    ['bad UTF-8 in the topic', 'topic_invalid', rawPublish(Buffer.from([0x61, 0xc3, 0x28]))],
    [
      'a UTF-8 surrogate in the topic',
      'topic_invalid',
      rawPublish(Buffer.from([0xed, 0xa0, 0x80])),
    ],
    ['Basic Ingest without a rule', 'topic_invalid', rawPublish(Buffer.from('$aws/rules//a'))],
    ['a Basic Ingest rule-name', 'topic_invalid', rawPublish(Buffer.from('$aws/rules/a-b/a'))],
    ['$SYS', 'topic_reserved', rawPublish(Buffer.from('$SYS/broker/load'))],
    ['another topic of the broker', 'topic_reserved', rawPublish(Buffer.from('$aws/things/x'))],
    [
      'packet id 0',
      'packet_invalid',
      rawPublish(Buffer.from('a'), { rest: Buffer.from([0, 0, 120]) }),
    ],
    ['QoS 3', 'packet_invalid', rawPublish(Buffer.from('a'), { flags: 0x36 })],
    ['no room for the packet id', 'packet_invalid', Buffer.from([0x32, 3, 0, 1, 97])],
    ['a topic longer than the packet', 'packet_invalid', Buffer.from([0x32, 4, 0, 9, 97, 97])],
    ['an empty body', 'packet_invalid', Buffer.from([0x32, 0])],
  ]
  test.each(bad)(
    '%s: disconnected, one log line, the broker lives',
    async (_name, reason, bytes) => {
      const { port, messages, warnings, metric } = await startIngress()
      const client = await connectRaw(port)
      client.send(publishPacket({ topic: 'before', messageId: 9 }), bytes)
      expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 9 })
      await client.closed

      expect(client.waiting).toEqual([])
      expect(messages.map(({ topic }) => topic)).toEqual(['before'])
      expect(warnings()).toEqual([expect.objectContaining({ reason, clientId: 'raw' })])
      expect(await metric('mqttConnectionsRefused', { reason })).toBe(1)
      const counted = reason === 'packet_invalid' ? 0 : 1
      expect(await metric('messagesRejected', { reason })).toBe(counted)
      await connectRaw(port)
    },
  )

  test('the log line of a payload that is too large has client, topic and size', async () => {
    const { port, warnings } = await startIngress()
    const client = await connectRaw(port)
    client.send(publishPacket({ topic: 'cam/1', payload: Buffer.alloc(200_000) }))
    await client.closed
    expect(warnings()).toEqual([
      expect.objectContaining({ clientId: 'raw', topic: 'cam/1', size: 200_000 }),
    ])
  })
})

describe('a PUBLISH at the limits', () => {
  const good: [name: string, topic: string, payloadBytes: number][] = [
    ['a payload of 128 KiB', 'a', payloadBytesMax],
    ['an empty payload', 'a', 0],
    ['a topic of 256 bytes', 'é'.repeat(128), 1],
    ['7 slashes', levels(8), 1],
    ['Basic Ingest, its prefix not counted', `$aws/rules/${'r'.repeat(128)}/${levels(8)}`, 1],
    ['the longest topic and payload', `$aws/rules/r/${'x'.repeat(256)}`, payloadBytesMax],
  ]
  test.each(good)('%s is taken', async (_name, topic, payloadBytes) => {
    const { port, messages } = await startIngress()
    const client = await connectRaw(port)
    client.send(publishPacket({ topic, payload: Buffer.alloc(payloadBytes, 'x') }))
    expect(await client.next()).toMatchObject({ cmd: 'puback' })
    expect(messages[0]?.payload).toEqual(Buffer.alloc(payloadBytes, 'x'))
  })
})

describe('other invalid packets', () => {
  const bad: [name: string, reason: string, bytes: Buffer][] = [
    ['a second CONNECT', 'packet_invalid', encode(connectPacket())],
    ['SUBSCRIBE with packet id 0', 'packet_invalid', Buffer.from('8206000000016100', 'hex')],
    ['PUBREL with packet id 0', 'packet_invalid', Buffer.from('62020000', 'hex')],
    ['PUBACK without packet id', 'packet_invalid', Buffer.from('4000', 'hex')],
    ['a CONNACK', 'packet_invalid', Buffer.from('20020000', 'hex')],
    ['type 0', 'packet_invalid', Buffer.from('0000', 'hex')],
    ['a remaining length of five bytes', 'packet_invalid', Buffer.from('32ffffffff01', 'hex')],
    ['a SUBSCRIBE of 1 MB', 'packet_too_large', Buffer.from('82808040', 'hex')],
  ]
  test.each(bad)('%s: disconnected', async (_name, reason, bytes) => {
    const { port, warnings } = await startIngress()
    const client = await connectRaw(port)
    client.send(bytes)
    await client.closed
    expect(warnings()).toEqual([expect.objectContaining({ reason })])
  })
})

describe('a connection that begins with an error', () => {
  const will = { topic: 'gone', payload: Buffer.from('x'), qos: 0, retain: false } as const
  const bad: [name: string, reason: string, bytes: Buffer, answer?: number][] = [
    ['PUBLISH first', 'not_connect', encode(publishPacket())],
    ['PINGREQ first', 'not_connect', Buffer.from([0xc0, 0])],
    ['HTTP', 'not_connect', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a packet of 256 MB before CONNECT', 'not_connect', Buffer.from('30ffffff7f000161', 'hex')],
    ['a CONNECT of 256 MB', 'packet_too_large', Buffer.from('10ffffff7f', 'hex')],
    [
      'no client id with clean 0',
      'client_id_invalid',
      Buffer.from('100c00044d5154540400003c0000', 'hex'),
      2,
    ],
    [
      'a client id of 129 bytes',
      'client_id_invalid',
      encode(connectPacket({ clientId: 'x'.repeat(129) })),
      2,
    ],
    [
      'a will with wildcards',
      'will_invalid',
      encode(connectPacket({ will: { ...will, topic: 'a/#' } })),
    ],
    [
      "a will to the broker's topics",
      'will_invalid',
      encode(connectPacket({ will: { ...will, topic: '$SYS/x' } })),
    ],
  ]
  test.each(bad)('%s: refused', async (_name, reason, bytes, answer) => {
    const { port, warnings, metric } = await startIngress()
    const client = await openRaw(port)
    client.send(bytes)
    await client.closed
    const connack = { cmd: 'connack', returnCode: answer }
    expect(client.waiting).toMatchObject(answer === undefined ? [] : [connack])
    expect(warnings()).toEqual([expect.objectContaining({ reason })])
    expect(await metric('mqttConnectionsRefused', { reason })).toBe(1)
    expect(await metric('mqttConnections')).toBe(0)
  })

  test('no CONNECT in time: disconnected', async () => {
    const { port, metric } = await startIngress(undefined, { connectTimeoutMs: 50 })
    const client = await openRaw(port)
    client.send(Buffer.from([0x10]))
    await client.closed
    expect(await metric('mqttConnectionsRefused', { reason: 'connect_timeout' })).toBe(1)
  })

  test('more connections than the limit: refused', async () => {
    const { port, metric } = await startIngress(undefined, { connectionsMax: 1 })
    await connectRaw(port)
    const second = await openRaw(port)
    await second.closed
    expect(await metric('mqttConnectionsRefused', { reason: 'too_many_connections' })).toBe(1)
  })

  test('protocol level 6: refused in the form of MQTT 5; the log says why, once', async () => {
    const { port, warnings, metric } = await startIngress()
    const six = Buffer.from('101000044d51545406020000000003736978', 'hex')
    const client = await openRaw(port)
    client.send(six)
    await client.closed
    expect(warnings()).toEqual([
      expect.objectContaining({
        reason: 'protocol_version',
        sourceIp: '127.0.0.1',
        detail: expect.stringContaining('protocol level 6'),
      }),
    ])
    expect(await metric('mqttConnectionsRefused', { reason: 'protocol_version' })).toBe(1)
  })

  test('MQTT 3.1 is spoken', async () => {
    const { port, messages } = await startIngress()
    const client = await mqtt.connectAsync({
      port,
      protocolId: 'MQIsdp',
      protocolVersion: 3,
      clientId: 'a client id of more than the 23 bytes of MQTT 3.1',
    })
    await client.publishAsync('a', 'x', { qos: 2 })
    expect(messages.length).toBe(1)
    await client.endAsync()
  })
})

describe('subscriptions', () => {
  const refused = [
    '$share',
    '$share/group',
    '$share//a',
    '$share/group/',
    '$share/+/a',
    `$share/${'g'.repeat(129)}/a`,
    '$share/group/$share/group/a',
    '$share/group/$aws/rules/r/a',
    `$share/group/${levels(9)}`,
    '$aws/rules/r/a',
    '$aws/rules/#',
    '$SYS/#',
    'a\0b',
    levels(9),
    'x'.repeat(257),
    'a+',
  ]
  test.each(refused)('%j is refused with 0x80', async (topic) => {
    const { port, warnings } = await startIngress()
    const client = await connectRaw(port)
    const subscriptions = [
      { topic, qos: 1 },
      { topic: 'fine/+/#', qos: 1 },
    ] as const
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [...subscriptions] })
    expect(await client.next()).toMatchObject({ cmd: 'suback', granted: [0x80, 1] })
    expect(warnings()).toEqual([expect.objectContaining({ msg: 'a subscription was refused' })])
    client.send({ cmd: 'pingreq' })
    expect(await client.next()).toMatchObject({ cmd: 'pingresp' })
  })

  test('a filter that Aedes itself refuses ends the connection', async () => {
    const { port, warnings } = await startIngress()
    const client = await connectRaw(port)
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/b+/c', qos: 0 }] })
    await client.closed
    expect(warnings()).toEqual([expect.objectContaining({ reason: 'protocol_error' })])
  })

  test.each(['#', '+', '/', '+/+', 'a/#', '/#', '$aws/things/#', levels(8)])(
    '%j is granted',
    async (topic) => {
      const { port } = await startIngress()
      const client = await connectRaw(port)
      client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 0 }] })
      expect(await client.next()).toMatchObject({ cmd: 'suback', granted: [0] })
    },
  )
})
