import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { connectAsync } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { createMemoryStore } from '../cluster/state/memory-state.ts'

/** A node whose store cannot be reached. */
async function startWaiting(httpPort = '0', host = '127.0.0.1') {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-waiting-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const config = loadConfig(
    {
      SLUICE_DATA_DIR: path.join(folder, 'data'),
      SLUICE_RULES_DIR: path.join(folder, 'rules'),
      SLUICE_FUNCTIONS_DIR: path.join(folder, 'functions'),
      SLUICE_POLICIES_DIR: path.join(folder, 'policies'),
      SLUICE_MQTT_PORT: '0',
      SLUICE_HTTP_PORT: httpPort,
      SLUICE_HTTP_HOST: host,
      SLUICE_LAB_PORT: '0',
    },
    'lab',
  )
  let heard: ((port: number) => void) | undefined
  const port = new Promise<number>((resolve) => {
    heard = resolve
  })
  const logger = createMemoryLogger((line) => {
    if (String(line['msg']).startsWith('the HTTP port says')) heard?.(Number(line['http']))
  })
  const connection = createMemoryStore(systemClock).connect()
  connection.faults.disconnect()
  const stopping = new AbortController()
  const started = startApp({
    config,
    logger,
    clock: systemClock,
    sharedState: { state: connection, clusterName: 'test' },
    signal: stopping.signal,
  })
  const failed = started.catch((thrown: unknown) => thrown)
  return { started, failed, port, stopping, faults: connection.faults }
}

const get = (port: number, where: string, options: RequestInit = {}) =>
  fetch(`http://127.0.0.1:${port}${where}`, options)

test('a node that waits for the others says that it lives, and takes nothing', async () => {
  const node = await startWaiting()
  const port = await node.port
  const live = await get(port, '/v1/live')
  expect([live.status, await live.json()]).toEqual([200, { status: 'live' }])
  const health = await get(port, '/v1/health?a=b')
  expect([health.status, await health.json()]).toEqual([
    503,
    {
      status: 'starting',
      reasons: ['clusterUnreachable'],
      message: expect.stringContaining('waits for NATS') as unknown,
    },
  ])
  for (const [where, options] of [
    ['/rules', {}],
    ['/topics/a', { method: 'POST', body: 'x'.repeat(100_000) }],
    ['/v1/live', { method: 'DELETE' }],
  ] as const) {
    const refused = await get(port, where, options)
    expect([where, refused.status]).toEqual([where, 503])
    expect(refused.headers.get('x-amzn-ErrorType')).toBe('ServiceUnavailableException')
    expect(await refused.json()).toEqual({ message: expect.stringContaining('NATS') as unknown })
  }

  node.faults.reconnect()
  const app = await node.started
  onTestFinished(() => app.stop())
  expect(app.ports.http).toBe(port)
  expect((await get(port, '/v1/health')).status).toBe(200)
  expect((await get(port, '/rules')).status).toBe(200)
  await app.stop()
  await expect(get(port, '/v1/live')).rejects.toThrow('fetch failed')
})

test('both addresses of localhost and WebSockets are handed over', async () => {
  const node = await startWaiting('0', 'localhost')
  const port = await node.port
  const kept = await get(port, '/v1/live')
  await kept.text()
  node.faults.reconnect()
  const app = await node.started
  onTestFinished(() => app.stop())
  const answers = await Promise.all(
    ['127.0.0.1', '[::1]'].map((host) => fetch(`http://${host}:${port}/v1/health`)),
  )
  expect(answers.map(({ status }) => status)).toEqual([200, 200])
  const client = await connectAsync(`ws://127.0.0.1:${port}/mqtt`)
  await client.endAsync()
})

test('a signal ends a node that waits, and its port is closed', async () => {
  const node = await startWaiting()
  const port = await node.port
  await get(port, '/v1/health')
  node.stopping.abort()
  expect(await node.failed).toMatchObject({ name: 'AbortError' })
  await expect(get(port, '/v1/live')).rejects.toThrow('fetch failed')
})

test('a port in use is told at once, and not when the others are there', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  onTestFinished(() => void other.close())
  const { port } = other.address() as AddressInfo
  const node = await startWaiting(String(port))
  expect(await node.failed).toMatchObject({ code: 'PortUnavailable' })
})
