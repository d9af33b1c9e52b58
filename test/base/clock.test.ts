import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { createServer, connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { createManualClock } from '../helpers/manual-clock.ts'

const hourMs = 3_600_000

const closers: (() => unknown)[] = []
afterEach(() => closers.splice(0).map((close) => close()))

/** Two sockets that are connected to each other. */
async function socketPair(): Promise<readonly [Socket, Socket]> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [Socket]
  closers.push(
    () => server.close(),
    () => client.destroy(),
    () => accepted.destroy(),
  )
  return [client, accepted]
}

/** As a stopped process does: neither timers nor sockets are looked at. */
function standStill(ms: number): void {
  const endMs = performance.now() + ms
  while (performance.now() < endMs);
}

describe('a timer of the system clock', () => {
  test('that comes late lets what has arrived be read first', async () => {
    const [client, accepted] = await socketPair()
    const events: string[] = []
    accepted.on('data', (chunk: Buffer) => events.push(String(chunk)))
    const rang = new Promise<void>((resolve) => {
      systemClock.after(20, () => {
        events.push('timer')
        resolve()
      })
    })
    client.write('bytes')
    standStill(200)
    await rang
    expect(events).toEqual(['bytes', 'timer'])
  })

  test('that comes late can still be cancelled by what is read', async () => {
    const [client, accepted] = await socketPair()
    const events: string[] = []
    const cancel = systemClock.after(20, () => events.push('timer'))
    const read = once(accepted, 'data')
    accepted.once('data', () => {
      cancel()
      events.push('bytes')
    })
    client.write('bytes')
    standStill(200)
    await read
    await systemClock.sleep(1)
    await new Promise((resolve) => setImmediate(resolve))
    expect(events).toEqual(['bytes'])
  })

  test('does not run once it is cancelled', async () => {
    const events: string[] = []
    systemClock.after(1, () => events.push('cancelled'))()
    await new Promise<void>((resolve) => systemClock.after(5, resolve))
    expect(events).toEqual([])
  })
})

describe('the manual clock', () => {
  test('moves both hands, or the time of day alone', () => {
    const clock = createManualClock(0)
    const startMs = clock.monotonicMs()
    const rings: number[] = []
    clock.after(1_000, () => rings.push(clock.monotonicMs() - startMs))
    clock.setWall(hourMs)
    expect([clock.wallMs(), clock.monotonicMs() - startMs, rings]).toEqual([hourMs, 0, []])
    clock.setWall(-hourMs)
    clock.advance(1_500)
    expect([clock.wallMs(), clock.monotonicMs() - startMs]).toEqual([1_500 - hourMs, 1_500])
    expect(rings).toEqual([1_000])
  })

  test('wakes a sleeper whose signal aborts, and keeps no timer of it', async () => {
    const clock = createManualClock()
    const over = new AbortController()
    const slept = clock.sleep(hourMs, over.signal)
    over.abort()
    await slept
    await clock.sleep(hourMs, over.signal)
    expect(clock.timerCount).toBe(0)
  })
})

// The linter keeps Date.now, performance.now, process.hrtime and timers of Node to clock.ts.
test('no other file of src reads the time by new Date()', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  expect(files).toContain('base/clock.ts')
  const readers = files.filter(
    (file) =>
      file.endsWith('.ts') &&
      /new Date\(\s*\)|[^\w.'`]Date\(\s*\)|timers\/promises|AbortSignal\.timeout/.test(
        readFileSync(`src/${file}`, 'utf8').replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, ''),
      ),
  )
  expect(readers).toEqual([])
})
