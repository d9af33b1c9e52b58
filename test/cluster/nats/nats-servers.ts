import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { freePorts } from '../../helpers/free-ports.ts'

/** What differs from a cluster of three that flushes before it acknowledges. */
export interface ServerSettings {
  readonly servers?: number
  /** Lines of the configuration of each server, such as `authorization {...}`. */
  readonly more?: string
  readonly maxPayload?: string
  readonly syncInterval?: string
  readonly jetStream?: boolean
}

/** NATS servers of one cluster, as processes on loopback. */
export interface NatsServers {
  /** For `SLUICE_NATS_URL`. */
  readonly url: string
  readonly monitorUrls: readonly string[]
  /** Ends a server as a power failure does, or freezes it, or lets it go on. */
  signal(server: number, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>
  /** Starts a server that has ended, with the same data. */
  start(server: number): Promise<void>
  /** The server that leads a stream. */
  leaderOf(stream: string): Promise<number>
  pids(): readonly number[]
  stop(): Promise<void>
}

const startMsMax = 30_000
const lookEveryMs = 50

/** A run that is cut short leaves no server behind. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** @param program of `findNatsServer` */
export async function startNatsServers(
  program: string,
  settings: ServerSettings = {},
): Promise<NatsServers> {
  const { servers: count = 3 } = settings
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-nats-'))
  const ports = await freePorts(count * 3)
  const portsOf = (server: number) => ({
    client: ports[server * 3] ?? 0,
    monitor: ports[server * 3 + 1] ?? 0,
    route: ports[server * 3 + 2] ?? 0,
  })
  const numbers = Array.from({ length: count }, (_, server) => server)
  const routes = numbers.map((server) => `nats://127.0.0.1:${portsOf(server).route}`)
  const monitorUrls = numbers.map((server) => `http://127.0.0.1:${portsOf(server).monitor}`)
  const processes = new Map<number, ChildProcess>()

  for (const server of numbers) {
    const { client, monitor, route } = portsOf(server)
    const { more = '', maxPayload = '8MB', syncInterval = 'always', jetStream = true } = settings
    const store = JSON.stringify(path.join(folder, `data-${server}`))
    const lines = [
      `server_name: n${server}`,
      `listen: "127.0.0.1:${client}"`,
      `http: "127.0.0.1:${monitor}"`,
      `max_payload: ${maxPayload}`,
      ...(jetStream
        ? [`jetstream { store_dir: ${store}, sync_interval: ${syncInterval}, max_file_store: 8GB }`]
        : []),
      ...(count > 1
        ? [`cluster { name: test, listen: "127.0.0.1:${route}", routes: [${routes.join(', ')}] }`]
        : []),
      more,
    ]
    writeFileSync(path.join(folder, `n${server}.conf`), lines.join('\n'))
  }

  async function start(server: number): Promise<void> {
    const file = path.join(folder, `n${server}.conf`)
    const log = path.join(folder, `n${server}.log`)
    const child = spawn(program, ['-c', file, '-l', log], { stdio: 'ignore' })
    processes.set(server, child)
    running.add(child)
    child.once('exit', () => running.delete(child))
    const ended = once(child, 'exit').then(() => {
      throw new Error(`nats-server ${server} has ended: see ${log}`)
    })
    await Promise.race([answered(`${monitorUrls[server]}/healthz?js-server-only=true`), ended])
    ended.catch(() => undefined)
  }

  async function stop(): Promise<void> {
    for (const child of processes.values()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  }

  try {
    await Promise.all(numbers.map(start))
  } catch (thrown) {
    await stop()
    throw thrown
  }

  return {
    url: numbers.map((server) => `nats://127.0.0.1:${portsOf(server).client}`).join(','),
    monitorUrls,
    start,
    stop,
    pids: () => [...processes.values()].flatMap(({ pid }) => pid ?? []),
    async signal(server, name) {
      const child = processes.get(server)
      if (child === undefined) throw new Error(`there is no server ${server}`)
      const ended = name === 'SIGKILL' ? once(child, 'exit') : undefined
      child.kill(name)
      await ended
    },
    async leaderOf(stream) {
      const giveUp = AbortSignal.timeout(startMsMax)
      for (;;) {
        giveUp.throwIfAborted()
        for (const url of monitorUrls) {
          const leader = await leaderAt(url, stream).catch(() => undefined)
          if (leader !== undefined) return Number(leader.slice(1))
        }
        await later()
      }
    },
  }
}

interface JetStreamDetails {
  readonly account_details?: readonly {
    readonly stream_detail?: readonly {
      readonly name: string
      readonly cluster?: { readonly leader?: string }
    }[]
  }[]
}

async function leaderAt(url: string, stream: string): Promise<string | undefined> {
  const signal = AbortSignal.timeout(1_000)
  const response = await fetch(`${url}/jsz?accounts=true&streams=true`, { signal })
  const { account_details: accounts = [] } = (await response.json()) as JetStreamDetails
  const streams = accounts.flatMap(({ stream_detail: details = [] }) => details)
  return streams.find(({ name }) => name === stream)?.cluster?.leader
}

async function answered(url: string): Promise<void> {
  const giveUp = AbortSignal.timeout(startMsMax)
  for (;;) {
    giveUp.throwIfAborted()
    const response = await fetch(url, { signal: giveUp }).catch(() => undefined)
    if (response?.ok === true) return
    await later()
  }
}

const later = () => new Promise((resolve) => setTimeout(resolve, lookEveryMs))
