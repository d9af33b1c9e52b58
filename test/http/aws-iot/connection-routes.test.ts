import {
  GetConnectionCommand,
  ListSubscriptionsCommand,
  SendDirectMessageCommand,
} from '@aws-sdk/client-iot-data-plane'
import type { Packet } from 'mqtt-packet'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../helpers/manual-clock.ts'
import type { GuardedOptions } from '../../ingress/guarded-ingress.ts'
import { startGuarded } from '../../ingress/guarded-ingress.ts'
import { connectRaw, settle, startIngress, until } from '../../ingress/helpers.ts'
import type { TestIngress } from '../../ingress/helpers.ts'
import {
  bytes,
  connectMqtt5,
  four,
  hex,
  packet,
  property,
  puback,
  subscribe5,
  text,
  two,
} from '../../ingress/mqtt5/raw-mqtt5.ts'
import { startServer } from '../http-fixtures.ts'

/** The HTTP server on a real broker, asked by AWS's own client. */
async function serverOn(mqtt: TestIngress) {
  const { iotData } = await startServer({ dependencies: { broker: mqtt.ingress } })
  return {
    ...mqtt,
    get: (clientId: string, includeSocketInformation?: boolean) =>
      iotData
        .send(new GetConnectionCommand({ clientId, includeSocketInformation }))
        .then(withoutMetadata),
    list: (clientId: string, page: { maxResults?: number; nextToken?: string | undefined } = {}) =>
      iotData.send(new ListSubscriptionsCommand({ clientId, ...page })).then(withoutMetadata),
    send: (
      clientId: string,
      given: Partial<ConstructorParameters<typeof SendDirectMessageCommand>[0]> = {},
    ) =>
      iotData.send(
        new SendDirectMessageCommand({ clientId, topic: 'to/you', payload: hello, ...given }),
      ),
  }
}

function withoutMetadata<Answer extends { $metadata: unknown }>(
  answer: Answer,
): Omit<Answer, '$metadata'> {
  return Object.fromEntries(
    Object.entries(answer).filter(([member]) => member !== '$metadata'),
  ) as Omit<Answer, '$metadata'>
}

const hello = Buffer.from('hello')
const subscribe = (topic: string, qos: 0 | 1 | 2): Packet => ({
  cmd: 'subscribe',
  messageId: 1,
  subscriptions: [{ topic, qos }],
})
const name = (code: string) => ({ name: code })

describe('GetConnection', () => {
  test('of a connected client, of one that has gone for half an hour, and of no other', async () => {
    const clock = createManualClock(1_700_000_000_000)
    const mqtt = await serverOn(await startIngress(undefined, {}, undefined, clock))
    const client = await connectRaw(mqtt.port, { clientId: 'a b/ü', keepalive: 77 })
    await settle()
    expect(await mqtt.get('a b/ü')).toEqual({
      clientId: 'a b/ü',
      connected: true,
      cleanSession: true,
      sessionExpiry: 0,
      keepAliveDuration: 77,
      connectedSince: 1_700_000_000_000,
    })
    expect(await mqtt.get('a b/ü', true)).toMatchObject({
      sourceIp: '127.0.0.1',
      sourcePort: expect.any(Number) as number,
      targetIp: '127.0.0.1',
      targetPort: mqtt.port,
    })
    clock.advance(60_000)
    client.send({ cmd: 'disconnect' })
    await client.closed
    await settle()
    const gone = {
      clientId: 'a b/ü',
      connected: false,
      cleanSession: true,
      sessionExpiry: 0,
      keepAliveDuration: 77,
      disconnectedSince: 1_700_000_060_000,
      disconnectReason: 'CLIENT_INITIATED_DISCONNECT',
    }
    expect(await mqtt.get('a b/ü')).toEqual(gone)
    clock.advance(1_799_999)
    expect(await mqtt.get('a b/ü')).toEqual(gone)
    clock.advance(1)
    await expect(mqtt.get('a b/ü')).rejects.toMatchObject(name('ResourceNotFoundException'))
    await expect(mqtt.get('never')).rejects.toMatchObject(name('ResourceNotFoundException'))
    await expect(mqtt.get('$never')).rejects.toMatchObject(name('InvalidRequestException'))
  })

  test('a session is told with its expiry, and a takeover with the state of the new one', async () => {
    const mqtt = await serverOn(await startIngress())
    await connectRaw(mqtt.port, { clientId: 'kept', clean: false })
    await connectMqtt5(mqtt.port, { clientId: 'five', properties: [property(17, four(60))] })
    await settle()
    expect(await mqtt.get('kept')).toMatchObject({ cleanSession: false, sessionExpiry: 3_600 })
    expect(await mqtt.get('five')).toMatchObject({ cleanSession: false, sessionExpiry: 60 })
    const { closed } = await connectRaw(mqtt.port, { clientId: 'five', keepalive: 9 })
    await settle()
    expect(await mqtt.get('five')).toMatchObject({ connected: true, keepAliveDuration: 9 })
    await mqtt.ingress.disconnect('five')
    await closed
    await until(async () => (await mqtt.get('five')).connected === false)
    expect(await mqtt.get('five')).toMatchObject({ disconnectReason: 'API_INITIATED_DISCONNECT' })
  })
})

describe('ListSubscriptions', () => {
  test('of clients of both versions, of an absent one, in pages', async () => {
    const mqtt = await serverOn(await startIngress())
    const client = await connectRaw(mqtt.port, { clientId: 'c', clean: false })
    const five = await connectMqtt5(mqtt.port, { clientId: 'five' })
    expect(await mqtt.list('c')).toEqual({ subscriptions: [] })
    for (const [topic, qos] of [
      ['b/#', 1],
      ['a', 0],
      ['c/+', 2],
      ['gone', 1],
    ] as const) {
      client.send(subscribe(topic, qos))
      await client.next()
    }
    client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['gone'] })
    await client.next()
    five.send(subscribe5({ x: 1, y: 0 }))
    await five.next()
    const all = [
      { topicFilter: 'a', qos: 0 },
      { topicFilter: 'b/#', qos: 1 },
      { topicFilter: 'c/+', qos: 2 },
    ]
    expect(await mqtt.list('c')).toEqual({ subscriptions: all })
    const first = await mqtt.list('c', { maxResults: 2 })
    expect(first.subscriptions).toEqual(all.slice(0, 2))
    expect(await mqtt.list('c', { nextToken: first.nextToken })).toEqual({
      subscriptions: all.slice(2),
    })
    expect((await mqtt.list('five')).subscriptions).toEqual([
      { topicFilter: 'x', qos: 1 },
      { topicFilter: 'y', qos: 0 },
    ])
    client.send({ cmd: 'disconnect' })
    five.send(bytes('e0 00'))
    await client.closed
    await settle()
    expect(await mqtt.list('c')).toEqual({ subscriptions: all })
    await expect(mqtt.list('five')).rejects.toMatchObject(name('ResourceNotFoundException'))
  })
})

describe('SendDirectMessage', () => {
  test('reaches one client that is not subscribed, with its properties, and no rule', async () => {
    const mqtt = await serverOn(await startIngress())
    const old = await connectRaw(mqtt.port, { clientId: 'old' })
    const five = await connectMqtt5(mqtt.port, { clientId: 'five' })
    const other = await connectRaw(mqtt.port, { clientId: 'other' })
    other.send(subscribe('#', 1))
    await other.next()
    const given = { contentType: 'a/b', userProperties: '[{"k":"v"}]' }
    expect(await mqtt.send('old', given)).toMatchObject({ message: 'OK' })
    expect(await old.next()).toMatchObject({ topic: 'to/you', payload: hello, qos: 0 })
    await mqtt.send('five', given)
    const block = Buffer.concat([
      property(3, text('a/b')),
      property(38, Buffer.concat([text('k'), text('v')])),
    ])
    const length = Buffer.from([block.length])
    expect(hex(await five.next())).toBe(hex(packet(0x30, text('to/you'), length, block, hello)))
    await settle()
    expect(other.waiting).toEqual([])
    expect(mqtt.messages).toEqual([])
  })

  test('with confirmation it is answered after PUBACK alone, and 504 without', async () => {
    const clock = createManualClock()
    const mqtt = await serverOn(await startIngress(undefined, {}, undefined, clock))
    // It is subscribed to the topic by QoS 0, which does not lower the QoS of a direct message.
    const old = await connectRaw(mqtt.port, { clientId: 'old', clean: false })
    old.send(subscribe('to/you', 0))
    await old.next()
    const five = await connectMqtt5(mqtt.port, { clientId: 'five' })
    const confirmed = { confirmation: true, timeout: 15 }

    for (const answers of [true, false]) {
      const sending = [mqtt.send('old', confirmed), mqtt.send('five', confirmed)]
      const outcomes = Promise.allSettled(sending)
      const sent = await old.next()
      expect(sent).toMatchObject({ cmd: 'publish', topic: 'to/you', qos: 1, payload: hello })
      const frame = await five.next()
      expect(frame[0]).toBe(0x32)
      if (answers) old.send({ cmd: 'puback', messageId: Number(sent.messageId) })
      if (answers) five.send(puback(frame.readUInt16BE(4 + 'to/you'.length)))
      else clock.advance(15_000)
      expect(await outcomes).toMatchObject(
        Array(2).fill(
          answers
            ? { status: 'fulfilled', value: { message: 'OK' } }
            : { status: 'rejected', reason: name('GatewayTimeoutException') },
        ),
      )
    }
    // A client that goes leaves nobody waiting.
    const left = Promise.allSettled([mqtt.send('old', confirmed)])
    await old.next()
    old.destroy()
    expect(await left).toMatchObject([{ reason: name('GatewayTimeoutException') }])
    await expect(mqtt.send('old')).rejects.toMatchObject(name('ResourceNotFoundException'))
  })

  test('waits for the receive maximum of a client of MQTT 5', async () => {
    const mqtt = await serverOn(await startIngress())
    const one = [property(33, two(1))]
    const five = await connectMqtt5(mqtt.port, { clientId: 'five', properties: one })
    const sending = [1, 2].map(() => mqtt.send('five', { confirmation: true }))
    for (const _ of sending) {
      const frame = await five.next()
      await settle()
      expect(five.waiting).toEqual([])
      five.send(puback(frame.readUInt16BE(4 + 'to/you'.length)))
    }
    expect(await Promise.all(sending)).toMatchObject([{ message: 'OK' }, { message: 'OK' }])
  })

  test('is refused by the policies of the receiver, and for its topic or payload', async () => {
    const policies: GuardedOptions['policies'] = {
      device: {
        statements: [
          { Effect: 'Allow', Action: 'iot:Connect', Resource: '*' },
          { Effect: 'Allow', Action: 'iot:Receive', Resource: 'arn:aws:iot:*:*:topic/ok' },
        ],
        targets: ['all'],
      },
    }
    const mqtt = await serverOn(await startGuarded({ policies }))
    const client = await connectRaw(mqtt.port, { clientId: 'c' })
    await mqtt.send('c', { topic: 'ok' })
    expect(await client.next()).toMatchObject({ topic: 'ok' })
    for (const confirmation of [true, false]) {
      await expect(mqtt.send('c', { confirmation })).rejects.toMatchObject(
        name('ForbiddenException'),
      )
    }
    const payload = Buffer.alloc(131_073)
    const invalid = [
      { topic: 'ok', payload },
      { topic: 'a/#' },
      { topic: '$aws/things/t/shadow/get' },
      { topic: 'ok/\0' },
    ]
    for (const given of [...invalid, { topic: 'ok', timeout: 16, confirmation: true }]) {
      await expect(mqtt.send('c', given)).rejects.toMatchObject(name('InvalidRequestException'))
    }
    expect(client.waiting).toEqual([])
  })
})
