import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { describe, expect, test } from 'vitest'
import * as fc from 'fast-check'
import { WebSocket } from 'ws'
import { createTrustedProxies } from '../../../src/base/trusted-proxies.ts'
import { createConnectionLimits } from '../../../src/ingress/entrances/connection-limits.ts'
import type {
  ConnectionLimitsOptions,
  ConnectionSlot,
} from '../../../src/ingress/entrances/connection-limits.ts'
import { createListener } from '../../../src/ingress/entrances/listener.ts'
import { createLimitedLog } from '../../../src/telemetry/limited-log.ts'
import { createMemoryLogger, createMetrics } from '../../../src/telemetry/telemetry.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { connectMqtt, ended, makeCertificates, startEntrances } from './entrance-fixtures.ts'
import { atTheEnd, until } from '../helpers.ts'

const generous: ConnectionLimitsOptions = {
  connectionsMax: 1_000,
  connectionsPerAddressMax: 0,
  connectRate: 0,
}

function createLimits(options: Partial<ConnectionLimitsOptions>, isExempt?: () => boolean) {
  const clock = createManualClock()
  const limits = createConnectionLimits(
    { clock, ...(isExempt && { isExempt }) },
    { ...generous, ...options },
  )
  /** What the first refusal of so many is, or that there was none. */
  const enter = (address: string | undefined, count = 1) => {
    const slots = Array.from({ length: count }, () => limits.take(address))
    return slots.find((slot) => typeof slot === 'string') ?? 'in'
  }
  return { clock, limits, enter }
}

describe('limits of connections', () => {
  test('in all', () => {
    const { enter } = createLimits({ connectionsMax: 3 })
    expect(enter('192.0.2.1', 2)).toBe('in')
    expect(enter('::1')).toBe('in')
    expect(enter('192.0.2.2')).toBe('too_many_connections')
    expect(enter(undefined)).toBe('too_many_connections')
  })

  test('from one address, until one of it has gone', () => {
    const { limits, enter } = createLimits({ connectionsPerAddressMax: 2 })
    const slot = limits.take('192.0.2.1') as ConnectionSlot
    expect(enter('192.0.2.1')).toBe('in')
    expect(enter('192.0.2.1')).toBe('too_many_from_address')
    expect(enter('192.0.2.2')).toBe('in')
    slot.release()
    slot.release()
    expect(enter('192.0.2.1')).toBe('in')
    expect(enter('192.0.2.1')).toBe('too_many_from_address')
  })

  test('of IPv6 count for its /64', () => {
    const { enter } = createLimits({ connectionsPerAddressMax: 1 })
    expect(enter('2001:db8::1')).toBe('in')
    expect(enter('2001:db8::2')).toBe('too_many_from_address')
    expect(enter('2001:db8:0:1::1')).toBe('in')
  })

  test('new ones of an address: ten seconds of them at once, then so many a second', () => {
    const { clock, enter } = createLimits({ connectRate: 5 })
    expect(enter('192.0.2.1', 50)).toBe('in')
    expect(enter('192.0.2.1')).toBe('connect_rate')
    expect(enter('192.0.2.2')).toBe('in')
    clock.advance(1_000)
    expect(enter('192.0.2.1', 5)).toBe('in')
    expect(enter('192.0.2.1')).toBe('connect_rate')
  })

  test('of an address do not hold for loopback', () => {
    const { enter } = createLimits({ connectionsPerAddressMax: 1, connectRate: 1 })
    expect(enter('127.0.0.1', 100)).toBe('in')
    expect(enter('::1', 100)).toBe('in')
  })

  test('refused connections do not count', () => {
    const { clock, enter } = createLimits({ connectionsPerAddressMax: 1, connectionsMax: 2 })
    expect(enter('192.0.2.1', 100)).toBe('too_many_from_address')
    clock.advance(60_000)
    expect(enter('192.0.2.2')).toBe('in')
  })

  test('whatever clients do: never more than the limits, and all slots are released', () => {
    const step = fc.record({
      address: fc.constantFrom('192.0.2.1', '192.0.2.2', '::1', undefined),
      released: fc.nat(5),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const { limits, enter } = createLimits({ connectionsMax: 5, connectionsPerAddressMax: 3 })
        const open: { readonly address: string | undefined; readonly slot: ConnectionSlot }[] = []
        for (const { address, released } of steps) {
          const taken = limits.take(address)
          if (typeof taken !== 'string') open.push({ address, slot: taken })
          const first = open.filter((each) => each.address === '192.0.2.1')
          expect(open.length <= 5 && first.length <= 3).toBe(true)
          for (const { slot } of open.splice(0, released)) slot.release()
        }
        for (const { slot } of open) slot.release()
        expect(enter('192.0.2.1', 3)).toBe('in')
        expect(enter('192.0.2.2', 2)).toBe('in')
      }),
    )
  })
})

test('a listener closes, counts and logs connections over a limit', async () => {
  const { clock, limits } = createLimits({ connectionsPerAddressMax: 1 }, () => false)
  const metrics = createMetrics()
  const lines: Record<string, unknown>[] = []
  const logger = createMemoryLogger((line) => lines.push(line))
  const log = createLimitedLog({ logger, clock })
  const listener = createListener(
    { limits, proxies: createTrustedProxies([]), clock, log, metrics },
    { allowHalfOpen: false, headerTimeoutMs: 1_000 },
    () => {},
  )
  const { port } = await listener.listen({ host: '127.0.0.1', port: 0 })
  const first = connectTcp(port, '127.0.0.1')
  await once(first, 'connect')
  for (let count = 0; count < 20; count++) {
    const next = connectTcp(port, '127.0.0.1').on('error', () => {})
    await ended(next)
  }
  expect(lines).toEqual([
    expect.objectContaining({ reason: 'too_many_from_address', sourceIp: '127.0.0.1' }),
  ])
  const { values } = await metrics.mqttConnectionsRefused.get()
  expect(values).toMatchObject([{ labels: { reason: 'too_many_from_address' }, value: 20 }])
  first.destroy()
  await listener.close()
})

async function connectAndReset(port: number): Promise<void> {
  const socket = connectTcp(port, '127.0.0.1').on('error', () => {})
  const closed = once(socket, 'close')
  socket.once('connect', () => socket.resetAndDestroy())
  await closed
}

test('connections that are reset at once take no slot for good', async () => {
  const certificates = await makeCertificates()
  const { ports } = await startEntrances({ certificates, options: { connectionsMax: 5 } })
  for (let round = 0; round < 30; round++) {
    const all = [ports.mqtt, ports.mqtts, ports.ws, ports.wss]
    await Promise.all([...all, ...all, ...all].map(connectAndReset))
  }
  const url = `mqtt://127.0.0.1:${ports.mqtt}`
  const comingIn = async () => {
    const coming = Array.from({ length: 5 }, () => connectMqtt(url))
    const outcomes = await Promise.allSettled(coming)
    const came = outcomes.filter((outcome) => outcome.status === 'fulfilled')
    if (came.length < 5) await Promise.all(came.map(({ value }) => value.endAsync()))
    return came.length
  }
  await expect.poll(comingIn, { timeout: 15_000 }).toBe(5)
})

test('all transports count together', async () => {
  const certificates = await makeCertificates()
  const { ports, refused } = await startEntrances({ certificates, options: { connectionsMax: 3 } })
  const { ca } = certificates
  const clients = [
    await connectMqtt(`mqtt://127.0.0.1:${ports.mqtt}`),
    await connectMqtt(`mqtts://localhost:${ports.mqtts}`, { ca }),
    await connectMqtt(`ws://127.0.0.1:${ports.ws}/mqtt`),
  ]
  const tcp = connectTcp(ports.mqtt, '127.0.0.1').on('error', () => {})
  await ended(tcp)
  const tls = connectTcp(ports.mqtts, '127.0.0.1').on('error', () => {})
  await ended(tls)
  const webSocket = new WebSocket(`ws://127.0.0.1:${ports.ws}/mqtt`, ['mqtt'])
  atTheEnd(() => webSocket.terminate())
  await expect(once(webSocket, 'open')).rejects.toThrow('503')
  expect(await refused('too_many_connections')).toBe(3)

  await Promise.all(clients.map((client) => client.endAsync()))
  const comesIn = async () => {
    const { connected } = await connectMqtt(`wss://localhost:${ports.wss}/mqtt`, { ca })
    return connected
  }
  // The server may notice later than the clients that they have gone.
  await until(() => comesIn().catch(() => false))
})
