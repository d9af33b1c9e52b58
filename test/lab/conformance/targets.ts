import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { createLabServer } from '../../../src/lab/server/lab-server.ts'
import { allLimits } from '../../../src/lab/streams/shard-limits.ts'
import { accountId, region } from '../lab-fixtures.ts'

/** A server that is taken for Kinesis. */
export interface Target {
  readonly port: number
  close(): Promise<void>
}

export const peers = ['kinesalite', 'kinesis-local'] as const
export type Peer = (typeof peers)[number]
export type TargetName = 'sluice' | Peer

const require = createRequire(import.meta.url)
const host = '127.0.0.1'
/** Long enough to be seen, where it is to be. */
const updatingMs = 100
/** Of every other state between two. */
const statusMs = 10
const startTimeoutMs = 10_000

/** @throws Error (rejects) when it cannot be started here */
export function startTarget(name: TargetName): Promise<Target> {
  const starts: Readonly<Record<TargetName, () => Promise<Target>>> = {
    sluice: () =>
      createLabServer({
        host,
        port: 0,
        region,
        accountId,
        limits: allLimits,
        statusMs: {
          creatingMs: statusMs,
          updatingMs,
          deletingMs: statusMs,
          consumerMs: statusMs,
        },
      }),
    kinesalite: startKinesalite,
    'kinesis-local': startKinesisLocal,
  }
  return starts[name]()
}

async function startKinesalite(): Promise<Target> {
  const kinesalite = require('kinesalite') as (options: object) => Server
  const server = kinesalite({
    createStreamMs: statusMs,
    deleteStreamMs: statusMs,
    updateStreamMs: updatingMs,
    shardLimit: 1_000,
  })
  server.listen(0, host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function startKinesisLocal(): Promise<Target> {
  const folder = path.dirname(require.resolve('kinesis-local/package.json'))
  const [port, tlsPort] = [await freePort(), await freePort()]
  const durations = [
    'CREATE_STREAM',
    'DELETE_STREAM',
    'REGISTER_STREAM_CONSUMER',
    'START_STREAM_ENCRYPTION',
    'STOP_STREAM_ENCRYPTION',
    'DEREGISTER_STREAM_CONSUMER',
    'MERGE_SHARDS',
    'SPLIT_SHARD',
    'UPDATE_SHARD_COUNT',
    'UPDATE_STREAM_MODE',
  ].map((name) => [`${name}_DURATION`, `${name.startsWith('SPLIT') ? updatingMs : statusMs}ms`])
  const child = spawn(process.execPath, ['main.js'], {
    // It looks for its certificate here.
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      ...(Object.fromEntries(durations) as Record<string, string>),
      KINESIS_MOCK_PLAIN_PORT: String(port),
      KINESIS_MOCK_TLS_PORT: String(tlsPort),
      SHARD_LIMIT: '1000',
      LOG_LEVEL: 'ERROR',
    },
    stdio: 'ignore',
  })
  const ended = once(child, 'exit')
  await Promise.race([
    whenAnswering(port),
    ended.then(() => {
      throw new Error('kinesis-local ended at its start')
    }),
  ])
  return {
    port,
    async close() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function whenAnswering(port: number): Promise<void> {
  const endMs = performance.now() + startTimeoutMs
  while (performance.now() < endMs) {
    try {
      await fetch(`http://${host}:${port}/`)
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }
  throw new Error(`it did not answer within ${startTimeoutMs} ms`)
}
