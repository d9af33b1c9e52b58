import type { Packet } from 'mqtt-packet'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../helpers/manual-clock.ts'
import { openAccess } from '../../src/identity/policies/access.ts'
import {
  connectPacket,
  connectRaw,
  createManualIngest,
  openRaw,
  publishPacket,
  settle,
  startIngress,
  until,
} from './helpers.ts'
import type { RawClient, TestIngress } from './helpers.ts'

const will = { topic: 'gone', payload: Buffer.from('bye'), qos: 1, retain: false } as const
const disconnect = { cmd: 'disconnect' } as const
/** A PUBLISH of QoS 3. */
const fault = Buffer.from([0x36, 5, 0, 1, 0x61, 0, 1])

describe('the will of a client whose DISCONNECT waits behind a PUBLISH under way', () => {
  type Ends = (client: RawClient, started: TestIngress) => unknown
  const ends: [how: string, ends: Ends][] = [
    ['the client resets the connection', (client) => client.destroy()],
    ['another connection takes over', (_client, { port }) => connectRaw(port)],
    ['an operator ends it', (_client, { ingress }) => ingress.disconnect('raw')],
    ['the broker stops', (_client, { ingress }) => ingress.close({ drainMs: 50 })],
  ]
  test.each(ends)('is not published when %s', async (_how, end) => {
    const started = await startIngress(() => new Promise(() => {}))
    const client = await connectRaw(started.port, { will })
    client.send(publishPacket(), disconnect)
    await until(() => started.messages.length === 1)
    await settle()
    await end(client, started)
    await client.closed
    await settle()
    expect(started.messages.map(({ topic }) => topic)).toEqual(['a/b'])
  })
})

describe('the will of a client while the broker drains', () => {
  const ways: [what: string, sent: Packet[], wills: string[]][] = [
    ['without DISCONNECT', [], ['gone']],
    ['with DISCONNECT', [disconnect], []],
    ['with DISCONNECT behind a PUBLISH', [publishPacket(), disconnect], []],
  ]
  test.each(ways)('%s', async (_what, sent, wills) => {
    const manual = createManualIngest()
    const { port, ingress, messages } = await startIngress(manual.ingest, { drainMs: 5_000 })
    const other = await connectRaw(port, { clientId: 'other' })
    other.send(publishPacket())
    await until(() => messages.length === 1)
    const client = await connectRaw(port, { will })
    const closed = ingress.close({ drainMs: 1_000 })
    if (sent.length > 0) client.send(...sent)
    await settle()
    manual.resolve(0)
    await client.closed
    manual.resolve(1)
    await closed
    expect(messages.map(({ topic }) => topic)).toEqual(['a/b', ...wills])
  })
})

test('a fault before the DISCONNECT ends the connection, and its will is published', async () => {
  const { port, messages } = await startIngress()
  const client = await connectRaw(port, { will })
  client.send(publishPacket(), fault, disconnect)
  await client.closed
  await until(() => messages.length === 2)
  expect(messages.map(({ topic }) => topic)).toEqual(['a/b', 'gone'])
})

test('a login that takes longer than the keepalive: it begins with the CONNACK', async () => {
  const clock = createManualClock()
  let admit: (() => void) | undefined
  const access = {
    authenticate: async (...login: Parameters<typeof openAccess.authenticate>) => {
      await new Promise<void>((resolve) => (admit = resolve))
      return openAccess.authenticate(...login)
    },
  }
  const { port, warnings } = await startIngress(undefined, {}, undefined, clock, access)
  const client = await openRaw(port)
  client.send(connectPacket({ keepalive: 10 }))
  await until(() => admit !== undefined)
  clock.advance(60_000)
  admit?.()
  expect(await client.next()).toMatchObject({ cmd: 'connack', returnCode: 0 })
  await settle()
  clock.advance(14_999)
  client.send({ cmd: 'pingreq' })
  expect(await client.next()).toMatchObject({ cmd: 'pingresp' })
  clock.advance(15_000)
  await client.closed
  expect(warnings()).toMatchObject([{ reason: 'keepalive_timeout' }])
})

test('what comes behind DISCONNECT is not looked at: the will is deleted, and nothing is logged', async () => {
  const { port, messages, warnings } = await startIngress()
  for (const behind of [fault, Buffer.from([4, 0]), Buffer.from('30ffffffff01', 'hex')]) {
    const client = await connectRaw(port, { will })
    client.send(disconnect, behind)
    await client.closed
  }
  await settle()
  expect(messages).toEqual([])
  expect(warnings()).toEqual([])
})
