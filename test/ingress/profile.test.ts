import type { Packet } from 'mqtt-packet'
import { describe, expect, test } from 'vitest'
import type { MqttProfile } from '../../src/ingress/mqtt5/profile.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import {
  connectPacket,
  connectRaw,
  openRaw,
  publishPacket,
  settle,
  startIngress,
  until,
} from './helpers.ts'
import type { RawClient, TestIngress } from './helpers.ts'
import { connectMqtt5, four, hex, property, publish5, subscribe5 } from './mqtt5/raw-mqtt5.ts'

const noWork = () => Promise.resolve()
const servers: Readonly<Record<MqttProfile, TestIngress>> = {
  aws: await startIngress(noWork, { profile: 'aws' }),
  open: await startIngress(noWork, { profile: 'open' }),
}

let latestId = 0
const nextId = () => `device ${++latestId}`

const subscribe = (...filters: (readonly [topic: string, qos: 0 | 1 | 2])[]): Packet => ({
  cmd: 'subscribe',
  messageId: 1,
  subscriptions: filters.map(([topic, qos]) => ({ topic, qos })),
})

const lastId = 65_535

/** How a packet is answered: `nothing` when a later one is answered alone. */
async function answerTo(client: RawClient, sent: Packet): Promise<unknown> {
  const unsubscribe: Packet = { cmd: 'unsubscribe', messageId: lastId, unsubscriptions: ['x'] }
  client.send(sent)
  await settle()
  if (sent.cmd !== 'connect') client.send(unsubscribe)
  const first = await client.next().catch(() => undefined)
  if (first === undefined) return 'closed'
  if (first.messageId === lastId) return 'nothing'
  if (first.cmd === 'suback') return first.granted
  return first.cmd === 'connack' ? `connack ${first.returnCode}` : first.cmd
}

const levels = (count: number) => Array(count).fill('x').join('/')
const qos2 = publishPacket({ qos: 2, topic: 'two', messageId: 7 })
const taken = publishPacket({ topic: 'taken', messageId: 8 })

function nine() {
  return Array.from({ length: 9 }, (_, index) => [`f/${index}`, 0] as const)
}

function retainedShadow() {
  return publishPacket({ topic: '$aws/things/t/shadow/update', retain: true })
}

const willOf2 = () => ({
  will: { topic: 'w', payload: Buffer.from('x'), qos: 2 as const, retain: false },
})

async function send(port: number, ...sent: Packet[]): Promise<void> {
  const client = await connectRaw(port)
  client.send(...sent)
  expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 8 })
}

async function send5(port: number, sent: Buffer): Promise<void> {
  const client = await connectMqtt5(port)
  client.send(sent)
  await client.next()
}

async function refused(port: number, connect: Parameters<typeof connectPacket>[0]) {
  const client = await openRaw(port)
  client.send(connectPacket(connect))
  await client.closed
}

async function publishAll(port: number): Promise<void> {
  const publisher = await connectRaw(port, { clientId: 'publisher' })
  publisher.send(...publishes)
  for (const { messageId } of publishes) expect(await publisher.next()).toMatchObject({ messageId })
  publisher.destroy()
}

async function topicsTo(client: RawClient): Promise<string[]> {
  const topics: string[] = []
  for (;;) {
    const packet = await client.next()
    if (packet.cmd !== 'publish') continue
    if (packet.topic === 'end') return topics
    topics.push(packet.topic)
  }
}

const publishes = ['a', 'a/', 'b', 'a/b', 'a/b/c', 'end'].map((topic, index) =>
  publishPacket({ topic, messageId: index + 1 }),
)

describe('MQTT 3.1.1: a packet', () => {
  // What `aws` and `open` answer.
  const cases: [what: string, sent: Packet, aws: unknown, open: unknown][] = [
    ['PUBLISH of QoS 2', qos2, 'nothing', 'pubrec'],
    ['SUBSCRIBE of QoS 2', subscribe(['s', 2]), 'nothing', [2]],
    ['SUBSCRIBE of QoS 1 and 2', subscribe(['s', 1], ['t', 2]), 'nothing', [1, 2]],
    ['SUBSCRIBE of 9 filters', subscribe(...nine()), 'closed', 'closed'],
    ['a topic of 7 slashes', publishPacket({ topic: levels(8) }), 'puback', 'puback'],
    ['a topic of 8 slashes', publishPacket({ topic: levels(9) }), 'closed', 'closed'],
    ['a topic of 257 bytes', publishPacket({ topic: 'x'.repeat(257) }), 'closed', 'closed'],
    ['a filter of 8 slashes', subscribe([levels(9), 1]), [128], [128]],
    ['a filter of 257 bytes', subscribe(['x'.repeat(257), 1]), [128], [128]],
    ['a retained message on $aws', retainedShadow(), 'closed', 'closed'],
    ['131,072 bytes', publishPacket({ payload: Buffer.alloc(131_072) }), 'puback', 'puback'],
    ['131,073 bytes', publishPacket({ payload: Buffer.alloc(131_073) }), 'closed', 'closed'],
  ]
  test.each(cases)('%s', async (_what, sent, aws, open) => {
    const answers: unknown[] = []
    for (const profile of ['aws', 'open'] as const) {
      const client = await connectRaw(servers[profile].port, { clientId: nextId() })
      answers.push(await answerTo(client, sent))
      client.destroy()
    }
    expect(answers).toEqual([aws, open])
  })
})

describe('MQTT 3.1.1: a CONNECT', () => {
  const will = { topic: 'will', payload: Buffer.from('gone'), qos: 2, retain: false } as const
  const cases: [what: string, connect: Parameters<typeof connectPacket>[0], string, string][] = [
    ['with a will of QoS 2', { will }, 'closed', 'connack 0'],
    ['with a will of QoS 1', { will: { ...will, qos: 1 } }, 'connack 0', 'connack 0'],
    ['with a client id that begins with $', { clientId: '$me' }, 'connack 2', 'connack 0'],
    ['with 129 bytes of client id', { clientId: 'c'.repeat(129) }, 'connack 2', 'connack 2'],
  ]
  test.each(cases)('%s', async (_what, connect, aws, open) => {
    const answers: unknown[] = []
    for (const profile of ['aws', 'open'] as const) {
      const client = await openRaw(servers[profile].port)
      answers.push(await answerTo(client, connectPacket({ clientId: nextId(), ...connect })))
      client.destroy()
    }
    expect(answers).toEqual([aws, open])
  })
})

describe('what `aws` does not take is one line of the log that says what AWS does', () => {
  const expiry = property(17, four(999_999))
  const messageExpiry = property(2, four(999_999))
  const cases: [reason: string, detail: RegExp, act: (port: number) => Promise<unknown>][] = [
    ['qos_not_supported', /PUBLISH of QoS 2.*does not answer/, (port) => send(port, qos2, taken)],
    [
      'qos_not_supported',
      /SUBSCRIBE of QoS 2.*does not answer/,
      (port) => send(port, subscribe(['a', 2]), taken),
    ],
    ['will_invalid', /will of QoS 2.*ends the connection/, (port) => refused(port, willOf2())],
    ['client_id_invalid', /\$.*for itself/, (port) => refused(port, { clientId: '$x' })],
    [
      'keep_alive_adjusted',
      /5 s: .*30 s are in force/,
      (port) => connectRaw(port, { keepalive: 5 }),
    ],
    ['keep_alive_adjusted', /0 s: .*1200 s/, (port) => connectMqtt5(port, { keepAlive: 0 })],
    [
      'session_expiry_cut',
      /999999 s: .*3600 s are in force/,
      (port) => connectMqtt5(port, { properties: [expiry] }),
    ],
    ['qos_lowered', /grants QoS 1/, (port) => send5(port, subscribe5({ a: 2, b: 2 }))],
    [
      'message_expiry_adjusted',
      /999999 s: .*604800 s/,
      (port) => send5(port, publish5('a', { properties: [messageExpiry] })),
    ],
    [
      'topic_alias',
      /aliases up to 8/,
      (port) => send5(port, publish5('a', { properties: [property(35, Buffer.from([0, 9]))] })),
    ],
    ['qos_not_supported', /answers 0x9B/, (port) => send5(port, publish5('a', { qos: 2 }))],
    [
      'too_many_filters',
      /more than 8 filters/,
      (port) => send5(port, subscribe5({ a: 0, b: 0, c: 0, d: 0, e: 0, f: 0, g: 0, h: 0, i: 0 })),
    ],
  ]
  test.each(cases)('%s: %s', async (reason, detail, act) => {
    const { port, warnings } = await startIngress(noWork, { profile: 'aws' })
    await act(port)
    await until(() => warnings().length > 0)
    expect(warnings()).toEqual([
      expect.objectContaining({ reason, detail: expect.stringMatching(detail) as string }),
    ])
    expect(warnings()[0]?.['detail']).toMatch(/AWS IoT Core|0x97/)
  })
})

test('a flood of QoS 2 is one line, none of it is taken, and the order of the rest stays', async () => {
  const { port, messages, warnings, metric } = await startIngress(noWork, { profile: 'aws' })
  const client = await connectRaw(port)
  const numbers = Array.from({ length: 500 }, (_, index) => index + 1)
  client.send(
    ...numbers.map((number) =>
      publishPacket({ topic: `t/${number}`, qos: number % 2 === 0 ? 2 : 1, messageId: number }),
    ),
  )
  const odd = numbers.filter((number) => number % 2 === 1)
  for (const messageId of odd) expect(await client.next()).toMatchObject({ messageId })
  expect(messages.map(({ topic }) => topic)).toEqual(odd.map((number) => `t/${number}`))
  expect(warnings()).toMatchObject([{ reason: 'qos_not_supported', topic: 't/2' }])
  expect(await metric('messagesRejected', { reason: 'qos_not_supported' })).toBe(250)
  await until(async () => (await metric('mqttHeldBytes')) === 0)
})

describe('subscriptions of one connection', () => {
  test.each([
    ['aws', 50],
    ['open', 100],
  ] as const)('%s: %i', async (profile, most) => {
    const client = await connectRaw(servers[profile].port, { clientId: nextId() })
    const client5 = await connectMqtt5(servers[profile].port, { clientId: nextId() })
    for (let number = 1; number <= most; number++) {
      client.send(subscribe([`n/${number}`, 0]))
      client5.send(subscribe5({ [`n/${number}`]: 0 }))
      expect(await client.next()).toMatchObject({ granted: [0] })
      expect(hex(await client5.next())).toBe('90 04 00 01 00 00')
    }
    client.send(subscribe(['one/more', 0]), subscribe(['n/1', 1]))
    client5.send(subscribe5({ 'one/more': 0 }), subscribe5({ 'n/1': 1 }))
    expect(await client.next()).toMatchObject({ granted: [0x80] })
    expect(await client.next()).toMatchObject({ granted: [1] })
    expect(hex(await client5.next())).toBe('90 04 00 01 00 97')
    expect(hex(await client5.next())).toBe('90 04 00 01 00 01')
  })
})

describe('`a/#` and its parent `a`', () => {
  const cases: [MqttProfile, readonly string[]][] = [
    ['aws', ['a/', 'a/b', 'a/b/c']],
    ['open', ['a', 'a/', 'a/b', 'a/b/c']],
  ]

  test.each(cases)('%s: live, by 3.1.1 and 5, also after UNSUBSCRIBE', async (profile, wanted) => {
    const { port } = await startIngress(noWork, { profile })
    const client = await connectRaw(port, { clientId: 'live' })
    client.send(subscribe(['a/#', 0], ['b/#', 1], ['end', 0]))
    await client.next()
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['b/#'] })
    await client.next()
    const client5 = await connectMqtt5(port, { clientId: 'live 5' })
    client5.send(subscribe5({ 'a/#': 1, end: 0 }))
    await client5.next()
    const member = await connectRaw(port, { clientId: 'member' })
    member.send(subscribe(['$share/g/a/#', 0], ['end', 0]))
    await member.next()
    await publishAll(port)
    expect(await topicsTo(client)).toEqual(wanted)
    expect(await topicsTo(member)).toEqual(wanted)
    const topics5: string[] = []
    while (topics5.at(-1) !== 'end') {
      const frame = await client5.next()
      topics5.push(frame.toString('latin1', 4, 4 + (frame[3] ?? 0)))
    }
    expect(topics5.slice(0, -1)).toEqual(wanted)
  })

  test.each(cases)('%s: queued for an absent client', async (profile, wanted) => {
    const { port } = await startIngress(noWork, { profile })
    const first = await connectRaw(port, { clientId: 'absent', clean: false })
    first.send(subscribe(['a/#', 1], ['+/#', 1], ['end', 1]))
    await first.next()
    first.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['+/#'] })
    await first.next()
    first.send({ cmd: 'disconnect' })
    await first.closed
    await publishAll(port)
    const again = await openRaw(port)
    again.send(connectPacket({ clientId: 'absent', clean: false }))
    expect(await topicsTo(again)).toEqual(wanted)
  })
})

describe('retained messages at SUBSCRIBE', () => {
  test.each([
    ['aws', ['r/1'], /^retained_by_wildcard: .* for r\/\+: AWS.*$/],
    ['open', ['r/1', 'r/1', 'r/2'], /^$/],
  ] as const)('%s', async (profile, wanted, line) => {
    const { port, warnings } = await startIngress(noWork, { profile })
    const publisher = await connectRaw(port, { clientId: 'publisher' })
    publisher.send(
      publishPacket({ topic: 'r/1', retain: true, messageId: 1 }),
      publishPacket({ topic: 'r/2', retain: true, messageId: 2 }),
    )
    await publisher.next()
    await publisher.next()
    const client = await connectRaw(port, { clientId: 'exact and wild' })
    const client5 = await connectMqtt5(port, { clientId: 'the same' })
    client.send(subscribe(['r/1', 0]), subscribe(['r/+', 0]), subscribe(['none/+', 0]))
    client5.send(subscribe5({ 'r/1': 0 }), subscribe5({ 'r/+': 0 }), subscribe5({ 'none/+': 0 }))
    await settle()
    const topics = client.waiting.flatMap((packet) =>
      packet.cmd === 'publish' ? [packet.topic] : [],
    )
    const topics5 = client5.waiting.filter((frame) => frame[0] === 0x31)
    expect(topics).toEqual(wanted)
    expect(topics5.map((frame) => frame.toString('latin1', 4, 7))).toEqual(wanted)
    const lines = warnings().map(({ reason, detail }) => `${String(reason)}: ${String(detail)}`)
    expect(lines.join('\n')).toMatch(line)
  })
})

describe('the keep alive of MQTT 3.1.1', () => {
  test.each([
    ['aws', 5, 45],
    ['aws', 60, 90],
    ['aws', 0, 1_800],
    ['aws', 5_000, 1_800],
    ['open', 5, 7.5],
    ['open', 5_000, 7_500],
  ] as const)('%s: of %i s, silence of %i s ends', async (profile, keepalive, seconds) => {
    const clock = createManualClock()
    const { port, metric } = await startIngress(noWork, { profile }, undefined, clock)
    const client = await connectRaw(port, { keepalive })
    await settle()
    clock.advance(seconds * 1_000 - 1)
    await settle()
    expect(client.isClosed).toBe(false)
    clock.advance(1)
    await client.closed
    expect(await metric('mqttConnectionsRefused', { reason: 'keepalive_timeout' })).toBe(1)
  })
})

test.each([
  ['aws', 100],
  ['open', 150],
] as const)('%s: %i messages are under way to a client of MQTT 5', async (profile, most) => {
  const { port } = await startIngress(noWork, { profile })
  const client = await connectMqtt5(port, { clientId: 'slow' })
  client.send(subscribe5({ a: 1 }))
  await client.next()
  const publisher = await connectRaw(port, { clientId: 'publisher' })
  for (let messageId = 1; messageId <= 150; messageId++) {
    publisher.send(publishPacket({ topic: 'a', messageId }))
    await publisher.next()
  }
  await settle()
  expect(client.waiting.length).toBe(most)
})
