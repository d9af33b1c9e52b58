import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectSocket } from 'node:net'
import type { Socket } from 'node:net'
import path from 'node:path'
import { createInterface } from 'node:readline'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import {
  atTheEnd,
  connectPacket,
  connectRaw,
  createManualIngest,
  encode,
  openRaw,
  publishPacket,
  settle,
  startIngress,
  until,
} from './helpers.ts'
import type { RawClient } from './helpers.ts'

const neverDone = () => new Promise<void>(() => undefined)

describe('a message of QoS 0 that the engine does not take', () => {
  const faults: [reason: string, fault: Error][] = [
    ['outbox_full', new SluiceError('OutboxFull', 'no room')],
    ['ingest_failed', new Error('disk full')],
  ]
  test.each(faults)('is counted as %s; the client stays, in order', async (reason, fault) => {
    const manual = createManualIngest()
    const { port, messages, metric, warnings } = await startIngress(manual.ingest)
    const subscriber = await connectRaw(port, { clientId: 'subscriber' })
    subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '#', qos: 0 }] })
    await subscriber.next()
    const client = await connectRaw(port)
    client.send(
      publishPacket({ qos: 0, topic: 'lost' }),
      publishPacket({ qos: 1, messageId: 7, topic: 'kept' }),
    )
    await until(() => messages.length === 2)
    manual.resolve(1)
    manual.outcomes[0]?.reject(fault)
    expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: 7 })
    expect(await subscriber.next()).toMatchObject({ topic: 'lost' })
    expect(await subscriber.next()).toMatchObject({ topic: 'kept' })
    expect(client.isClosed).toBe(false)
    expect(await metric('messagesRejected', { reason })).toBe(1)
    expect(await metric('messagesAcknowledged', { qos: 0 })).toBe(0)
    expect(warnings()).toEqual([expect.objectContaining({ reason, topic: 'lost', qos: 0 })])
  })
})

describe('hostile or vanished peers', () => {
  test('bytes that trickle in before CONNECT do not put off the timeout', async () => {
    const clock = createManualClock()
    const options = { connectTimeoutMs: 1_000 }
    const { port, metric } = await startIngress(undefined, options, undefined, clock)
    const client = await openRaw(port)
    const bytes = encode(connectPacket({ clientId: 'x'.repeat(100) }))
    await until(() => clock.timerCount > 0)
    for (const byte of bytes.subarray(0, 10)) {
      client.send(Buffer.from([byte]))
      await settle()
      clock.advance(100)
    }
    await client.closed
    expect(await metric('mqttConnectionsRefused', { reason: 'connect_timeout' })).toBe(1)
  })

  test.runIf(process.platform === 'linux')(
    'TCP asks after a peer with keepalive 0, which may be half open',
    async () => {
      const { port } = await startIngress()
      await connectRaw(port, { keepalive: 0 })
      const hexPort = port.toString(16).toUpperCase().padStart(4, '0')
      // local address, remote address, state 01 (established), queues, timer: 02 is TCP keepalive
      const row = new RegExp(`^ *\\d+: \\w+:${hexPort} \\w+:\\w+ 01 \\w+:\\w+ 02:`)
      const sockets = readFileSync('/proc/net/tcp', 'utf8').split('\n')
      expect(sockets).toContainEqual(expect.stringMatching(row))
    },
  )

  test.runIf(process.platform === 'linux')(
    'more connections than open files: those there are served, and new ones once some are gone',
    async () => {
      const script = path.resolve(import.meta.dirname, 'few-files.ts')
      const limit = `ulimit -n 64; exec "${process.execPath}" --import tsx "${script}"`
      const child = spawn('sh', ['-c', limit], { stdio: ['pipe', 'pipe', 'inherit'] })
      atTheEnd(() => child.kill('SIGKILL'))
      const [port] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
      const first = await connectRaw(Number(port), { clientId: 'first' })
      const sockets: Socket[] = Array.from({ length: 100 }, () => {
        const socket = connectSocket(Number(port), '127.0.0.1')
        socket.on('error', () => {})
        return socket
      })
      await Promise.all(sockets.map((socket) => once(socket, 'connect')))
      first.send(publishPacket({ messageId: 3 }))
      expect(await first.next()).toMatchObject({ cmd: 'puback', messageId: 3 })

      for (const socket of sockets) socket.destroy()
      // The other process takes its time to see that they are gone.
      let next: RawClient | undefined
      while (next === undefined) {
        next = await connectRaw(Number(port), { clientId: 'next' }).catch(() => undefined)
      }
      next.send(publishPacket({ messageId: 4 }))
      expect(await next.next()).toMatchObject({ cmd: 'puback', messageId: 4 })
      expect(child.exitCode).toBe(null)
    },
  )
})

test('whoever connects, takes over and is cut off: one connection a client, and the gauge is right', async () => {
  const steps = fc.array(
    fc.record({
      clientId: fc.constantFrom('a', 'b'),
      clean: fc.boolean(),
      ends: fc.constantFrom('cut', 'disconnect', 'fault', 'stays', 'at once'),
    }),
    { minLength: 1, maxLength: 12 },
  )
  await fc.assert(
    fc.asyncProperty(steps, async (plan) => {
      const { port, metric, ingress } = await startIngress()
      const clients: { readonly clientId: string; readonly client: RawClient }[] = []
      await Promise.all(
        plan.map(async ({ clientId, clean, ends }) => {
          const client = await openRaw(port)
          clients.push({ clientId, client })
          client.send(connectPacket({ clientId, clean }))
          if (ends === 'at once') return client.destroy()
          // Another may take over before the answer.
          const answered = await client.next().then(
            () => true,
            () => false,
          )
          // What is to be taken down when the client goes.
          const subscriptions = ['a', 'b/#'].map((topic) => ({ topic, qos: 1 as const }))
          client.send({ cmd: 'subscribe', messageId: 1, subscriptions })
          if (!answered || ends === 'stays') return undefined
          if (ends === 'cut') return client.destroy()
          client.send(ends === 'fault' ? Buffer.from([0, 0]) : { cmd: 'disconnect' })
          return client.closed
        }),
      )
      await settle()
      const open = clients.filter(({ client }) => !client.isClosed).map(({ clientId }) => clientId)
      expect(new Set(open).size).toBe(open.length)
      expect(await metric('mqttConnections')).toBe(open.length)
      await ingress.close()
      expect(await metric('mqttConnections')).toBe(0)
    }),
    { numRuns: 40 },
  )
})

describe('close', () => {
  test('answers what is under way, in order, and only then disconnects; wills last', async () => {
    const manual = createManualIngest()
    const { port, ingress, messages } = await startIngress(manual.ingest, { drainMs: 5_000 })
    const will = { topic: 'gone', payload: Buffer.from('bye'), qos: 1, retain: false } as const
    const client = await connectRaw(port, { will })
    client.send(...[1, 2, 3].map((messageId) => publishPacket({ messageId, topic: 't' })))
    await until(() => messages.length === 3)
    const closed = ingress.close()
    client.send(publishPacket({ messageId: 4 }))
    for (const index of [2, 1, 0]) {
      await settle()
      expect(client.waiting).toEqual([])
      manual.resolve(index)
    }
    for (const messageId of [1, 2, 3]) {
      expect(await client.next()).toMatchObject({ cmd: 'puback', messageId })
    }
    await until(() => messages.length === 4)
    manual.resolve(3)
    await closed
    expect(messages.map(({ topic }) => topic)).toEqual(['t', 't', 't', 'gone'])
    expect(client.waiting).toEqual([])
  })

  test('the time to drain can be given, and is for messages and wills together', async () => {
    const clock = createManualClock()
    const { port, ingress, messages } = await startIngress(neverDone, {}, undefined, clock)
    const will = { topic: 'gone', payload: Buffer.from('bye'), qos: 1, retain: false } as const
    const client = await connectRaw(port, { will })
    client.send(publishPacket())
    await until(() => messages.length === 1)
    const closed = ingress.close({ drainMs: 100 })
    clock.advance(100)
    await closed
    expect(messages.map(({ topic }) => topic)).toEqual(['a/b', 'gone'])
  })
})
