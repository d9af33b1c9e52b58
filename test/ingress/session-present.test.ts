import * as fc from 'fast-check'
import mqtt, { UniqueMessageIdProvider } from 'mqtt'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../helpers/manual-clock.ts'
import { atTheEnd, connectPacket, openRaw, publishPacket, startIngress, until } from './helpers.ts'
import type { RawClient, TestIngress } from './helpers.ts'

/** Connects with a session that stays; the answer says whether there was one. */
async function connectSession(port: number, clean = false) {
  const client = await openRaw(port)
  client.send(connectPacket({ clientId: 'two', clean, keepalive: 0 }))
  const connack = await client.next()
  if (connack.cmd !== 'connack') throw new Error(`unexpected ${connack.cmd}`)
  return { client, isPresent: connack.sessionPresent }
}

const message = (payload: string, dup = false) =>
  publishPacket({ topic: 'from/two', qos: 2, messageId: 1, payload, dup })

/** Publishes under packet id 1 and goes, before the handshake is over. */
async function leaveHandshakeOpen(port: number) {
  const { client } = await connectSession(port)
  client.send(message('old'))
  expect(await client.next()).toMatchObject({ cmd: 'pubrec', messageId: 1 })
  await dropped(client)
}

async function dropped(client: RawClient) {
  client.destroy()
  await client.closed
}

const payloads = ({ messages }: TestIngress) => messages.map(({ payload }) => payload.toString())

describe('a client with clean session 0 that subscribes to nothing', () => {
  test('gets session present exactly if it has a session', async () => {
    const clock = createManualClock()
    const started = await startIngress(undefined, {}, undefined, clock)
    const presence: (boolean | undefined)[] = []
    const connect = async (clean = false) => {
      const { client, isPresent } = await connectSession(started.port, clean)
      presence.push(isPresent)
      await dropped(client)
      await until(async () => (await started.metric('mqttConnections')) === 0)
    }
    await connect()
    await connect()
    await connect(true)
    await connect()
    clock.advance(3_600_000)
    await connect()
    await started.ingress.disconnect('two', { cleanSession: true })
    await connect()
    expect(presence).toEqual([false, true, false, false, false, false])
  })

  test('loses no new message under a packet id whose handshake is open', async () => {
    const started = await startIngress()
    await leaveHandshakeOpen(started.port)
    const { client } = await connectSession(started.port)
    client.send(message('new'))
    expect(await client.next()).toMatchObject({ cmd: 'pubrec', messageId: 1 })
    client.send({ cmd: 'pubrel', messageId: 1 })
    expect(await client.next()).toMatchObject({ cmd: 'pubcomp', messageId: 1 })
    expect(payloads(started)).toEqual(['old', 'new'])
  })

  test('has the message that it sends again ingested once', async () => {
    const started = await startIngress()
    await leaveHandshakeOpen(started.port)
    const { client, isPresent } = await connectSession(started.port)
    expect(isPresent).toBe(true)
    client.send(message('old', true))
    expect(await client.next()).toMatchObject({ cmd: 'pubrec', messageId: 1 })
    client.send({ cmd: 'pubrel', messageId: 1 })
    expect(await client.next()).toMatchObject({ cmd: 'pubcomp', messageId: 1 })
    expect(payloads(started)).toEqual(['old'])
  })

  test('loses no message of mqtt.js that was started anew', async () => {
    const started = await startIngress()
    const connect = async () => {
      const client = await mqtt.connectAsync({
        port: started.port,
        clientId: 'two',
        clean: false,
        reconnectPeriod: 0,
        // Its packet ids begin with 1 each time.
        messageIdProvider: new UniqueMessageIdProvider(),
      })
      client.on('error', () => {})
      atTheEnd(() => void client.end(true))
      return client
    }
    const first = await connect()
    first.on('packetreceive', ({ cmd }) => {
      if (cmd === 'pubrec') first.stream.destroy()
    })
    first.publish('from/two', 'old', { qos: 2 }, () => {})
    await new Promise((resolve) => first.once('close', () => resolve(undefined)))

    const second = await connect()
    await second.publishAsync('from/two', 'new', { qos: 2 })
    expect(payloads(started)).toEqual(['old', 'new'])
  })
})

describe('session present of CONNACK is true to what is stored', () => {
  test('of two connections of one client at a time, by the one that stays', async () => {
    const started = await startIngress()
    for (let round = 0; round < 40; round++) {
      await leaveHandshakeOpen(started.port)
      const before = started.messages.length
      const rivals = await Promise.all(
        [round % 2 === 0, round % 2 === 1].map(async (clean) => {
          const client = await openRaw(started.port)
          client.send(connectPacket({ clientId: 'two', clean }))
          return client
        }),
      )
      await until(() => rivals.some(({ isClosed }) => isClosed))
      const client = rivals.find(({ isClosed }) => !isClosed)
      if (client === undefined) continue
      const connack = await client.next()
      client.send(message('old', true))
      await client.next()
      const isPresent = connack.cmd === 'connack' && connack.sessionPresent
      expect(started.messages.length).toBe(before + (isPresent ? 0 : 1))
      await dropped(client)
      await dropped((await connectSession(started.port, true)).client)
    }
  })

  test('whatever comes and goes', { timeout: 60_000 }, async () => {
    const connect = fc.record({ step: fc.constant('connect' as const), clean: fc.boolean() })
    const publish = fc.record({
      step: fc.constant('publish' as const),
      id: fc.integer({ min: 1, max: 3 }),
      payload: fc.constantFrom('x', 'y'),
    })
    const release = fc.record({
      step: fc.constant('release' as const),
      id: fc.integer({ min: 1, max: 3 }),
    })
    const others = fc.record({ step: fc.constantFrom('drop', 'expire', 'discard') })
    const steps = fc.array(fc.oneof(connect, publish, publish, release, others), {
      minLength: 8,
      maxLength: 30,
    })
    await fc.assert(fc.asyncProperty(steps, runSteps), { numRuns: 40 })
  })
})

type Step =
  | { readonly step: 'connect'; readonly clean: boolean }
  | { readonly step: 'publish'; readonly id: number; readonly payload: string }
  | { readonly step: 'release'; readonly id: number }
  | { readonly step: 'drop' | 'expire' | 'discard' }

/** Takes the steps with a real broker and with a model of it, and compares what both say. */
async function runSteps(steps: readonly Step[]) {
  const clock = createManualClock()
  const started = await startIngress(undefined, {}, undefined, clock)
  const isGone = () => until(async () => (await started.metric('mqttConnections')) === 0)
  let session: Map<number, string> | undefined
  let current: { client: RawClient; handshakes: Map<number, string> } | undefined
  const modelled: unknown[] = []
  const seen: unknown[] = []
  let ingested = 0
  for (const step of steps) {
    if (step.step === 'connect') {
      const { client, isPresent } = await connectSession(started.port, step.clean)
      seen.push(isPresent)
      modelled.push(!step.clean && session !== undefined)
      await current?.client.closed
      session = step.clean ? undefined : (session ?? new Map<number, string>())
      current = { client, handshakes: session ?? new Map<number, string>() }
    } else if (step.step === 'expire') {
      clock.advance(3_600_000)
      if (current === undefined) session = undefined
    } else if (step.step === 'discard') {
      await started.ingress.disconnect('two', { cleanSession: true })
      session = undefined
      current = undefined
      await isGone()
    } else if (current !== undefined && step.step === 'drop') {
      await dropped(current.client)
      current = undefined
      await isGone()
    } else if (current !== undefined && step.step === 'publish') {
      const { id, payload } = step
      current.client.send(publishPacket({ qos: 2, messageId: id, payload }))
      seen.push((await current.client.next()).cmd, started.messages.length)
      if (current.handshakes.get(id) !== payload) ingested++
      current.handshakes.set(id, payload)
      modelled.push('pubrec', ingested)
    } else if (current !== undefined && step.step === 'release') {
      current.client.send({ cmd: 'pubrel', messageId: step.id })
      seen.push((await current.client.next()).cmd)
      current.handshakes.delete(step.id)
      modelled.push('pubcomp')
    }
  }
  expect(seen).toEqual(modelled)
  await started.ingress.close()
}
