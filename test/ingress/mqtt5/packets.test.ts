import { describe, expect, test } from 'vitest'
import { settle, startIngress } from '../helpers.ts'
import type { TestIngress } from '../helpers.ts'
import { answers, badConnects } from './cases.ts'
import {
  bytes,
  codeOf,
  connect5,
  connectMqtt5,
  four,
  hex,
  openMqtt5,
  packet,
  property,
  puback,
  publish5,
  subscribe5,
  text,
  two,
  unsubscribe5,
  userProperty,
} from './raw-mqtt5.ts'

const aws = { profile: 'aws' } as const
const noWork = () => Promise.resolve()

async function startBoth() {
  const servers = {
    open: await startIngress(noWork),
    aws: await startIngress(noWork, aws),
  }
  return (profile: 'aws' | 'open'): TestIngress => servers[profile]
}

const serverOf = await startBoth()

const tableOf = (cases: typeof answers) =>
  cases.map(([name, sent, answer, profile = 'open']) => ({ name, sent, answer, profile }))
const endingCases = tableOf(answers).filter(({ answer }) => answer.startsWith('DISCONNECT'))
const answeredCases = tableOf(answers).filter(({ answer }) => !answer.startsWith('DISCONNECT'))

let latestId = 0
const nextId = () => `client ${++latestId}`

describe('CONNECT', () => {
  test('CONNACK tells the settings in force', async () => {
    const client = await openMqtt5(serverOf('aws').port)
    const asked = property(17, four(999_999))
    client.send(connect5({ clientId: 'settings', keepAlive: 5, properties: [asked] }))
    expect(hex(await client.next())).toBe(
      // flags, code, length of the properties
      '20 20 00 00 1d ' +
        '11 00 00 0e 10 ' + // Session Expiry Interval 3,600
        '21 00 64 ' + // Receive Maximum 100
        '24 01 ' + // Maximum QoS 1
        '25 01 ' + // Retain Available
        '27 00 02 48 00 ' + // Maximum Packet Size 149,504
        '22 00 08 ' + // Topic Alias Maximum 8
        '28 01 29 00 2a 01 ' + // wildcards, no identifiers, shared subscriptions
        '13 00 1e', // Server Keep Alive 30
    )
  })

  test('an empty client id is assigned, with clean start and without', async () => {
    for (const flags of [0, 2]) {
      const client = await openMqtt5(serverOf('open').port)
      client.send(connect5({ clientId: '', flags }))
      expect((await client.next()).toString('latin1')).toMatch(/\+sluice_[-0-9a-f]{36}/)
    }
  })

  test.each(tableOf(badConnects))('$name: $answer', async ({ sent, answer, profile }) => {
    const { port, metric } = serverOf(profile)
    const refusedBefore = await metric('mqttConnectionsRefused')
    const client = await openMqtt5(port)
    client.send(sent)
    expect((await client.rest()).map(codeOf)).toEqual([answer])
    expect(await metric('mqttConnectionsRefused')).toBe(refusedBefore + 1)
  })

  test('a password without a user name is taken', async () => {
    const client = await openMqtt5(serverOf('open').port)
    client.send(connect5({ flags: 0x42, rest: text('secret') }))
    expect(codeOf(await client.next())).toBe('CONNACK 0')
  })

  test('properties that may be ignored are', async () => {
    const client = await openMqtt5(serverOf('open').port)
    const properties = [
      bytes('19 01'),
      bytes('22 ff ff'),
      userProperty('a', 'b'),
      userProperty('a', ''),
    ]
    client.send(connect5({ properties }))
    expect(codeOf(await client.next())).toBe('CONNACK 0')
  })
})

describe('a packet after CONNACK', () => {
  test.each(endingCases)(
    '$name ends the connection: $answer',
    async ({ sent, answer, profile }) => {
      const { port, metric } = serverOf(profile)
      const refusedBefore = await metric('mqttConnectionsRefused')
      const client = await connectMqtt5(port, { clientId: nextId() })
      client.send(sent)
      expect((await client.rest()).map(codeOf)).toEqual([answer])
      expect(await metric('mqttConnectionsRefused')).toBe(refusedBefore + 1)
    },
  )

  test.each(answeredCases)('$name is answered $answer', async ({ sent, answer, profile }) => {
    const client = await connectMqtt5(serverOf(profile).port, { clientId: nextId() })
    client.send(sent)
    expect(hex(await client.next())).toMatch(new RegExp(`^${answer}`))
    // The connection goes on.
    client.send(bytes('c0 00'))
    expect(hex(await client.next())).toBe('d0 00')
  })

  test('DISCONNECT and UNSUBSCRIBE: what existed is told, and nothing is answered', async () => {
    const client = await connectMqtt5(serverOf('open').port)
    client.send(subscribe5({ a: 0, b: 0 }), unsubscribe5(['a', 'x', 'b'], 2), bytes('e0 00'))
    const frames = await client.rest()
    expect(frames.map(hex)).toEqual(['90 05 00 01 00 00 00', 'b0 06 00 02 00 00 11 00'])
  })
})

test('a malformed packet is one line of the log, with its reason', async () => {
  const { port, warnings } = await startIngress()
  const client = await connectMqtt5(port, { clientId: 'logged' })
  client.send(publish5('a', { properties: [bytes('01 02')] }))
  await client.rest()
  expect(warnings()).toEqual([
    expect.objectContaining({
      reason: 'protocol_error',
      clientId: 'logged',
      detail: 'Payload Format Indicator is 2',
    }),
  ])
})

test('frames before a fault are answered first, in their order', async () => {
  const client = await connectMqtt5(serverOf('open').port, { clientId: 'order' })
  const publishes = [1, 2, 3].map((packetId) =>
    publish5(packetId === 2 ? '$SYS' : 'a', { packetId }),
  )
  client.send(...publishes, publish5('a/+', { packetId: 4 }), publish5('a', { packetId: 5 }))
  const frames = await client.rest()
  expect(frames.map(hex)).toEqual([
    '40 02 00 01',
    expect.stringMatching(/^40 .{2,5} 00 02 90/),
    '40 02 00 03',
    expect.stringMatching(/^e0 .{2,5} 90/),
  ])
})

test('reason strings are left out when the client does not want them', async () => {
  const client = await connectMqtt5(serverOf('open').port, {
    clientId: 'silent',
    properties: [bytes('17 00')],
  })
  client.send(publish5('$SYS'))
  expect(hex(await client.next())).toBe('40 03 00 01 90')
})

test('reason strings are left out when they would pass the maximum packet size', async () => {
  const client = await connectMqtt5(serverOf('open').port, {
    clientId: 'small',
    properties: [property(39, four(20))],
  })
  client.send(publish5('$SYS'))
  expect(hex(await client.next())).toBe('40 03 00 01 90')
  client.send(publish5('a/+'))
  expect((await client.rest()).map(hex)).toEqual(['e0 02 90 00'])
})

test('a topic alias stands for its topic, until it is set again', async () => {
  const { port, messages } = serverOf('open')
  const before = messages.length
  const client = await connectMqtt5(port, { clientId: 'alias' })
  const alias = [property(35, two(5))]
  const count = 200
  client.send(publish5('first', { qos: 0, properties: alias, payload: 'first' }))
  for (let index = 0; index < count; index++) {
    client.send(publish5('', { qos: 0, properties: alias, payload: 'first' }))
  }
  client.send(publish5('second', { qos: 0, properties: alias, payload: 'second' }))
  client.send(publish5('', { qos: 0, properties: alias, payload: 'second' }))
  client.send(publish5('other', { packetId: 9, payload: 'other' }))
  expect(hex(await client.next())).toBe('40 02 00 09')
  const came = messages.slice(before)
  expect(came).toHaveLength(count + 4)
  expect(came.every(({ topic, payload }) => topic === payload.toString())).toBe(true)
  client.send(bytes('e0 00'))
  const again = await connectMqtt5(port, { clientId: 'alias' })
  again.send(publish5('', { properties: alias }))
  expect((await again.rest()).map(codeOf)).toEqual(['DISCONNECT 94'])
})

describe('receive maximum', () => {
  test('101 unanswered PUBLISHes end the connection; those before are answered', async () => {
    const waiting: (() => void)[] = []
    const { port } = await startIngress(() => new Promise((resolve) => void waiting.push(resolve)))
    const client = await connectMqtt5(port)
    const ids = Array.from({ length: 101 }, (_, index) => index + 1)
    client.send(...ids.map((packetId) => publish5('a', { packetId })))
    while (waiting.length < 64) await settle()
    const frames = client.rest()
    for (let answered = 0; answered < 100;) {
      const resolve = waiting.shift()
      if (resolve === undefined) await settle()
      else {
        resolve()
        answered++
      }
    }
    const answersThere = await frames
    expect(answersThere).toHaveLength(101)
    expect(codeOf(answersThere.at(-1))).toBe('DISCONNECT 93')
  })

  test('1,000 PUBLISHes in windows of 100 pass', async () => {
    const client = await connectMqtt5(serverOf('open').port, { clientId: 'window' })
    for (let round = 0; round < 10; round++) {
      const ids = Array.from({ length: 100 }, (_, index) => index + 1)
      client.send(...ids.map((packetId) => publish5('a', { packetId })))
      for (const packetId of ids) expect(hex(await client.next())).toBe(hex(puback(packetId)))
    }
  })

  test('QoS 2 counts until PUBREL', async () => {
    const client = await connectMqtt5(serverOf('open').port, { clientId: 'window 2' })
    for (let round = 0; round < 3; round++) {
      for (let packetId = 1; packetId <= 100; packetId++) {
        client.send(publish5('a', { qos: 2, packetId }))
        expect((await client.next())[0]).toBe(0x50)
      }
      for (let packetId = 1; packetId <= 100; packetId++) {
        client.send(packet(0x62, two(packetId)))
        expect((await client.next())[0]).toBe(0x70)
      }
    }
    for (let packetId = 1; packetId <= 101; packetId++) {
      client.send(publish5('a', { qos: 2, packetId }))
    }
    expect((await client.rest()).map(codeOf).at(-1)).toBe('DISCONNECT 93')
  })
})
