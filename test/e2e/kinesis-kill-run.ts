import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRandom } from '../helpers/random.ts'
import type { Random } from '../helpers/random.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

/** What `sluice kinesis` promises with its data on disk, under `kill -9`. */
export interface KinesisKillResult {
  readonly kills: number
  /** Records whose put was answered with a sequence number. */
  readonly acknowledged: number
  /** Records that a reader had been given. */
  readonly read: number
  /** Acknowledged records that are missing, or not at their sequence number. */
  readonly missing: number
  /** The same of records that had been read. */
  readonly missingReads: number
}

interface RunOptions {
  readonly kills: number
  readonly writers: number
  readonly seed: number
}

const StreamName = 's'
const shardCount = 4
const recordsPerCallMax = 20
/** Each process lives for so many more acknowledged records, and until one more is read. */
const acknowledgedMin = 10
const acknowledgedSpread = 300
const pollMs = 2

/** Writers put and a reader reads all the time; the process is killed and started again. */
export async function kinesisKillRun({
  kills,
  writers,
  seed,
}: RunOptions): Promise<KinesisKillResult> {
  const random = createRandom(seed)
  const folder = await temporaryFolder()
  /** By sequence number. */
  const acknowledged = new Map<string, string>()
  const read = new Map<string, string>()
  let process = await start(folder.path)
  try {
    for (let kill = 0; kill <= kills; kill++) {
      const until = new AbortController()
      const reading = readUntil(process.port, read, until.signal)
      const writing = Array.from({ length: writers }, (_, writer) =>
        writeUntil(process.port, `${kill}/${writer}`, random, acknowledged, until.signal),
      )
      const enough = acknowledged.size + acknowledgedMin + random(acknowledgedSpread)
      const readBefore = read.size
      while (acknowledged.size < enough || read.size === readBefore) await sleep(pollMs)
      // The last process lives on, and is read from.
      if (kill === kills) {
        until.abort()
        await Promise.all([reading, ...writing])
        break
      }
      process.sluice.kill('SIGKILL')
      await process.sluice.ended
      until.abort()
      await Promise.all([reading, ...writing])
      process = await start(folder.path)
    }
    const stored = await readAll(process.port)
    const missingOf = (expected: ReadonlyMap<string, string>) =>
      [...expected].filter(([number, text]) => stored.get(number) !== text).length
    return {
      kills,
      acknowledged: acknowledged.size,
      read: read.size,
      missing: missingOf(acknowledged),
      missingReads: missingOf(read),
    }
  } finally {
    process.sluice.kill('SIGKILL')
    await process.sluice.ended
    await folder.remove()
  }
}

async function start(folder: string): Promise<{ sluice: SluiceProcess; port: number }> {
  const sluice = startSluice(
    ['kinesis', '--stream', `${StreamName}:${shardCount}`, '--no-limits'],
    { SLUICE_LAB_DATA: path.join(folder, 'streams') },
    { cwd: folder },
  )
  const { kinesis: port } = await sluice.ready()
  return { sluice, port: Number(port) }
}

/** Puts one call after the other. Calls without an answer may or may not have been carried out. */
async function writeUntil(
  port: number,
  writer: string,
  random: Random,
  acknowledged: Map<string, string>,
  signal: AbortSignal,
): Promise<void> {
  for (let n = 0; !signal.aborted; n++) {
    const texts = Array.from(
      { length: 1 + random(recordsPerCallMax) },
      (_, index) => `${writer}/${n}/${index}`,
    )
    const Records = texts.map((text) => ({
      PartitionKey: text,
      Data: Buffer.from(text).toString('base64'),
    }))
    const answer = await call(port, 'PutRecords', { StreamName, Records })
    if (!answer) return
    const results = answer['Records'] as { SequenceNumber?: string }[]
    for (const [index, { SequenceNumber: number }] of results.entries()) {
      if (number !== undefined) acknowledged.set(number, texts[index] ?? '')
    }
  }
}

async function readUntil(
  port: number,
  read: Map<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const readShard = async (shard: number) => {
    let iterator = await iteratorOf(port, shard, 'LATEST')
    while (iterator !== undefined && !signal.aborted) {
      iterator = await readOnce(port, iterator, read)
    }
  }
  await Promise.all(Array.from({ length: shardCount }, (_, shard) => readShard(shard)))
}

async function readAll(port: number): Promise<Map<string, string>> {
  const stored = new Map<string, string>()
  for (let shard = 0; shard < shardCount; shard++) {
    let iterator = await iteratorOf(port, shard, 'TRIM_HORIZON')
    for (let before = -1; iterator !== undefined && stored.size > before;) {
      before = stored.size
      iterator = await readOnce(port, iterator, stored)
    }
  }
  return stored
}

async function iteratorOf(
  port: number,
  shard: number,
  ShardIteratorType: string,
): Promise<string | undefined> {
  const ShardId = `shardId-${String(shard).padStart(12, '0')}`
  const answer = await call(port, 'GetShardIterator', { StreamName, ShardId, ShardIteratorType })
  return answer?.['ShardIterator'] as string | undefined
}

/** @returns the next iterator; undefined when the process has gone */
async function readOnce(
  port: number,
  ShardIterator: string,
  into: Map<string, string>,
): Promise<string | undefined> {
  const answer = await call(port, 'GetRecords', { ShardIterator })
  const records = (answer?.['Records'] ?? []) as { SequenceNumber: string; Data: string }[]
  for (const { SequenceNumber, Data } of records) {
    into.set(SequenceNumber, Buffer.from(Data, 'base64').toString())
  }
  return answer?.['NextShardIterator'] as string | undefined
}

/** @returns undefined without an answer */
async function call(
  port: number,
  operation: string,
  input: object,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': `Kinesis_20131202.${operation}`,
      },
      body: JSON.stringify(input),
    })
    if (response.status !== 200) throw new Error(`${operation}: ${await response.text()}`)
    return (await response.json()) as Record<string, unknown>
  } catch (thrown) {
    // What `fetch` throws when the connection ends.
    if (thrown instanceof TypeError || thrown instanceof SyntaxError) return undefined
    throw thrown
  }
}
