import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import type { IdleAnswer, IdleRequest } from './messages.ts'

/**
 * `npm run bench:idle`: the memory of a client that is connected and says nothing. Clients of both
 * versions are in one run, half of each before and after those of the other. Memory is taken after
 * a collection: the heap of V8 and buffers outside of it, in the process of the engine alone.
 */
const usage = `npm run bench:idle -- [options]

  --clients <n>      of each version (default 5,000); needs four times as many files (ulimit -n)
  --filters <n>      filters that each is subscribed to (default 1)
  --snapshots <dir>  writes snapshots of the heap there: before, and after each half
  --json             prints the result as JSON
`

const { values: options } = parseArgs({
  options: {
    clients: { type: 'string', default: '5000' },
    filters: { type: 'string', default: '1' },
    snapshots: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

type Version = 4 | 5

/** The order in which halves of the clients connect. */
const halves: readonly Version[] = [4, 5, 5, 4]
/** Clients of one source address: its ports are fewer than the clients may be. */
const perAddress = 10_000
const firstClients = 100
/** Clients that connect at a time. */
const atATime = 200
const keepAliveSeconds = 1_200

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}

/** A packet of fewer than 128 bytes behind its fixed header. */
function packet(firstByte: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([firstByte, body.length]), body])
}

function connectPacket(version: Version, clientId: string): Buffer {
  const level = Buffer.from([version, 2, keepAliveSeconds >> 8, keepAliveSeconds & 0xff])
  const properties = Buffer.alloc(version === 5 ? 1 : 0)
  return packet(0x10, text('MQTT'), level, properties, text(clientId))
}

function subscribePacket(version: Version, filter: string): Buffer {
  const properties = Buffer.alloc(version === 5 ? 1 : 0)
  return packet(0x82, Buffer.from([0, 1]), properties, text(filter), Buffer.from([1]))
}

/** Resolves when the client has what it is to have. */
async function openClient(port: number, version: Version, index: number): Promise<Socket> {
  const localAddress = `127.0.0.${2 + Math.floor(index / perAddress)}`
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  await once(socket, 'connect')
  const clientId = `idle-${version}-${index}`
  await answered(socket, connectPacket(version, clientId), 0x20)
  for (let filter = 0; filter < Number(options.filters); filter++) {
    await answered(socket, subscribePacket(version, `commands/${clientId}/${filter}`), 0x90)
  }
  return socket
}

async function answered(socket: Socket, bytes: Buffer, firstByte: number): Promise<void> {
  socket.write(bytes)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  if (answer[0] !== firstByte) throw new Error(`the engine answered ${answer.toString('hex')}`)
}

async function openClients(port: number, version: Version, from: number, count: number) {
  const sockets: Socket[] = []
  for (let done = 0; done < count; done += atATime) {
    const indexes = Array.from({ length: Math.min(atATime, count - done) }, (_, at) => done + at)
    const opened = indexes.map((index) => openClient(port, version, from + index))
    sockets.push(...(await Promise.all(opened)))
  }
  return sockets
}

interface Engine {
  readonly port: number
  /** @param name of the snapshot */
  memory(name: string): Promise<IdleAnswer>
  stop(): Promise<void>
}

/** The engine as it is shipped, with idle-probe.ts in its process. */
async function startEngine(): Promise<Engine> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'sluice-idle-'))
  const main = process.env['SLUICE_BENCH_MAIN'] ?? path.resolve('dist/main.js')
  const probe = path.join(import.meta.dirname, 'idle-probe.js')
  const child = fork(main, ['lab'], {
    execArgv: ['--expose-gc', '--import', probe],
    env: {
      PATH: process.env['PATH'],
      SLUICE_DATA_DIR: path.join(folder, 'data'),
      SLUICE_RULES_DIR: path.join(folder, 'rules'),
      SLUICE_MQTT_PORT: '0',
      SLUICE_HTTP_PORT: '0',
      SLUICE_LAB_PORT: '0',
      SLUICE_SAMPLE_MAPPING: 'off',
      SLUICE_MQTT_CONNECTIONS_MAX: '1000000',
      SLUICE_MQTT_CONNECTIONS_PER_ADDRESS_MAX: '0',
      SLUICE_MQTT_CONNECT_RATE: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const port = await readyPort(child)
  return {
    port,
    async memory(name) {
      const { snapshots } = options
      const snapshot = snapshots && path.join(snapshots, `${name}.heapsnapshot`)
      child.send({ snapshot } satisfies IdleRequest)
      const [answer] = (await once(child, 'message')) as [IdleAnswer]
      return answer
    },
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
      await rm(folder, { recursive: true })
    },
  }
}

function readyPort({ stdout }: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    if (stdout === null) throw new Error('the engine has no output')
    const lines = createInterface({ input: stdout })
    lines.on('line', (line) => {
      const entry = JSON.parse(line) as Record<string, unknown>
      if (entry['msg'] === 'ready') resolve(Number(entry['mqtt']))
    })
    lines.once('close', () => reject(new Error('the engine ended')))
  })
}

/** By version, the bytes of a client in each half. */
type Sizes = Record<Version, { bytes: number; rss: number }[]>

async function measure(): Promise<void> {
  const engine = await startEngine()
  const half = Math.ceil(Number(options.clients) / 2)
  const sizes: Sizes = { 4: [], 5: [] }
  const sockets: Socket[] = []
  const open = async (version: Version, from: number, count: number) => {
    sockets.push(...(await openClients(engine.port, version, from, count)))
  }
  // What the first clients of a version make is not their own.
  await open(4, 0, firstClients)
  await open(5, 0, firstClients)
  let before = await engine.memory('0')
  for (const [index, version] of halves.entries()) {
    await open(version, firstClients + index * half, half)
    const after = await engine.memory(`${index + 1}-mqtt-${version}`)
    const bytes = (after.bytes - before.bytes) / half
    sizes[version].push({ bytes, rss: (after.rss - before.rss) / half })
    before = after
  }
  for (const socket of sockets) socket.destroy()
  await engine.stop()
  print(sizes)
}

const kib = (bytes: number): string => (bytes / 1_024).toFixed(1)

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

function print(sizes: Sizes): void {
  const rows = ([4, 5] as const).map((version) => ({
    version: version === 4 ? '3.1.1' : '5',
    clients: Number(options.clients),
    bytes: Math.round(mean(sizes[version].map(({ bytes }) => bytes))),
    rssBytes: Math.round(mean(sizes[version].map(({ rss }) => rss))),
  }))
  if (options.json) {
    for (const row of rows) console.log(JSON.stringify(row))
    return
  }
  for (const row of rows) {
    console.log(`MQTT ${row.version}: ${kib(row.bytes)} KiB a client, RSS ${kib(row.rssBytes)} KiB`)
  }
  const [old, five] = rows
  const more = (five?.bytes ?? 0) - (old?.bytes ?? 0)
  console.log(`A client of MQTT 5 takes ${(more / 1_024).toFixed(2)} KiB more.`)
}

if (options.help) console.log(usage)
else await measure()
