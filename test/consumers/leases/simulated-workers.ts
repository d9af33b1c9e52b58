import { createConsumingShards } from '../../../src/consumers/consume-shard.ts'
import type { ConsumedBatch } from '../../../src/consumers/consumed-batch.ts'
import { leaseSettingsOf } from '../../../src/consumers/leases/lease-settings.ts'
import type { LeaseSettings } from '../../../src/consumers/leases/lease-settings.ts'
import type { Lease, LeaseStore, LeaseTable } from '../../../src/consumers/leases/lease.ts'
import { shareStream } from '../../../src/consumers/leases/share-stream.ts'
import type { KinesisRecord, ShardDescription } from '../../../src/consumers/shard-reader.ts'
import type {
  ShardPosition,
  ShardReader,
  StartPosition,
} from '../../../src/consumers/shard-reader.ts'
import { hashKeySpace } from '../../../src/base/hash-key.ts'
import type { ManualClock } from '../../helpers/manual-clock.ts'
import type { Random } from '../../helpers/random.ts'

/** A stream in memory, which grows and is split. */
export interface SimulatedStream {
  readonly shards: Map<string, { shard: ShardDescription; records: KinesisRecord[] }>
  put(shardId: string, count: number): void
  /** Closes a shard; @returns its children */
  split(shardId: string): readonly string[]
  merge(left: string, right: string): string
  /** All sequence numbers, by shard. */
  allRecords(): ReadonlyMap<string, readonly string[]>
  open(): readonly string[]
}

export function createSimulatedStream(clock: ManualClock, shardCount: number): SimulatedStream {
  const shards: SimulatedStream['shards'] = new Map()
  let sequence = 0
  function add(parentIds: readonly string[], starting: bigint, ending: bigint): string {
    const shardId = `shardId-${String(shards.size).padStart(12, '0')}`
    shards.set(shardId, {
      shard: {
        shardId,
        parentIds,
        startingHashKey: starting,
        endingHashKey: ending,
        isClosed: false,
      },
      records: [],
    })
    return shardId
  }
  const width = hashKeySpace / BigInt(shardCount)
  for (let index = 0n; index < BigInt(shardCount); index++) {
    add([], index * width, (index + 1n) * width - 1n)
  }
  function of(shardId: string) {
    const found = shards.get(shardId)
    if (!found) throw new Error(`no shard ${shardId}`)
    return found
  }
  function close(shardId: string): ShardDescription {
    const found = of(shardId)
    found.shard = { ...found.shard, isClosed: true }
    return found.shard
  }
  return {
    shards,
    put(shardId, count) {
      const { records } = of(shardId)
      for (let index = 0; index < count; index++) {
        records.push({
          sequenceNumber: String(++sequence).padStart(10, '0'),
          partitionKey: 'k',
          data: Buffer.from(''),
          approximateArrivalMs: clock.wallMs(),
        })
      }
    },
    split(shardId) {
      const { startingHashKey: start, endingHashKey: end } = close(shardId)
      const middle = (start + end) / 2n
      return [add([shardId], start, middle), add([shardId], middle + 1n, end)]
    },
    merge(left, right) {
      return add([left, right], close(left).startingHashKey, close(right).endingHashKey)
    },
    allRecords: () =>
      new Map([...shards].map(([id, { records }]) => [id, records.map((r) => r.sequenceNumber)])),
    open: () => [...shards].flatMap(([id, { shard }]) => (shard.isClosed ? [] : [id])),
  }
}

/** Leases in memory, which all workers share; the faults are those of each worker. */
export interface MemoryLeases {
  leases(): ReadonlyMap<string, Lease>
  /** As a worker sees them: its calls may fail, and lose their answers. */
  storeFor(call: WorkerCall): LeaseStore
}

export type WorkerCall = <Answer>(make: () => Answer | Promise<Answer>) => Promise<Answer>

/** @param onReplaced called with each change of a lease */
export type CreateLeases = (
  onReplaced: (before: Lease, after: Lease) => void,
  clock: ManualClock,
) => MemoryLeases

export const createMemoryLeases: CreateLeases = (onReplaced) => {
  const leases = new Map<string, Lease>()
  return {
    leases: () => leases,
    storeFor(call) {
      const table: LeaseTable = {
        list: () => call(() => [...leases.values()]),
        get: (shardId) => call(() => leases.get(shardId)),
        create: (lease) =>
          call(() => {
            if (leases.has(lease.shardId)) return false
            leases.set(lease.shardId, lease)
            return true
          }),
        replace: (before, after) =>
          call(() => {
            const stored = leases.get(before.shardId)
            if (!stored || !isSame(stored, before)) return false
            leases.set(after.shardId, after)
            onReplaced(stored, after)
            return true
          }),
        remove: (lease) =>
          call(() => isSame(leases.get(lease.shardId), lease) && leases.delete(lease.shardId)),
        close: () => undefined,
      }
      return { openLeases: async () => table }
    },
  }
}

const isSame = (stored: Lease | undefined, read: Lease) =>
  stored?.counter === read.counter &&
  stored.owner === read.owner &&
  stored.handedOverBy === read.handedOverBy

/** A process that shares the stream; it can stand still as a whole, and be killed. */
export interface Worker {
  readonly name: string
  readonly isFrozen: boolean
  freeze(): void
  thaw(): void
  /** As kill -9: nothing of it goes on. */
  kill(): void
  stop(): Promise<void>
}

interface WorkerOptions {
  readonly name: string
  readonly clock: ManualClock
  readonly stream: SimulatedStream
  readonly leases: MemoryLeases
  readonly random: Random
  /** Of 100 calls of the table so many fail, half of them after they were carried out. */
  readonly faultShare: () => number
  readonly handler: (batch: ConsumedBatch) => void | Promise<void>
  readonly from?: StartPosition
  readonly settings?: Partial<LeaseSettings>
}

export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { name, clock, stream, leases, random, faultShare, handler } = options
  let isFrozen = false
  let isDead = false
  const waiting: (() => void)[] = []
  /** Every wait of the process ends here; a dead one waits for ever. */
  const awake = () =>
    new Promise<void>((resolve) => {
      if (isDead) return
      if (isFrozen) waiting.push(resolve)
      else resolve()
    })
  async function runAwake(callback: () => unknown): Promise<void> {
    await awake()
    callback()
  }
  const workerClock = {
    ...clock,
    after: (delayMs: number, callback: () => void) => {
      let isCancelled = false
      const cancel = clock.after(delayMs, () => {
        void runAwake(() => isCancelled || callback())
      })
      return () => {
        isCancelled = true
        cancel()
      }
    },
    sleep: async (delayMs: number, signal?: AbortSignal) => {
      await clock.sleep(delayMs, signal)
      await awake()
    },
  }

  async function call<Answer>(make: () => Answer | Promise<Answer>): Promise<Answer> {
    await workerClock.sleep(1 + random(40))
    const fault = random(100) < faultShare() ? random(3) : undefined
    const failure = Object.assign(new Error('no answer'), { name: 'TimeoutError' })
    if (fault === 0) throw failure
    // A write that its author has given up, and that is made after all.
    if (fault === 2) {
      clock.after(random(3_000), () => void Promise.resolve(make()).catch(() => undefined))
      throw failure
    }
    const answer = await make()
    if (fault === 1) throw failure
    await workerClock.sleep(random(40))
    return answer
  }

  const reader: ShardReader = {
    async *read(shardId, from, signal) {
      let index = firstIndex(stream, shardId, from)
      while (!signal.aborted) {
        await workerClock.sleep(20 + random(200))
        const { shard, records } = stream.shards.get(shardId) ?? { records: [] }
        const next = records.slice(index, index + 1 + random(8))
        index += next.length
        const isEnd = shard?.isClosed === true && index === records.length
        const children = [...stream.shards.values()]
          .map((each) => each.shard)
          .filter(({ parentIds }) => parentIds.includes(shardId))
        yield {
          records: next,
          millisBehindLatest: 0,
          asOfMs: clock.wallMs(),
          readMs: clock.monotonicMs(),
          // The service does not always name the children.
          ...(isEnd && { end: { children: random(4) === 0 ? [] : children } }),
        }
        if (isEnd) return
      }
    },
  }
  const stopping = new AbortController()
  const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const runShard = createConsumingShards(
    { reader, clock: workerClock, logger: silent },
    {
      handler: async (batch) => {
        await handler(batch)
        await workerClock.sleep(random(60))
      },
      opensAggregates: false,
      batchRecordsMax: 4,
      concurrencyMax: 8,
      attemptsMax: Infinity,
    },
  )
  const { done } = await shareStream(
    {
      reads: {
        describeStream: async () => ({ arn: 'arn', createdMs: 1 }),
        listShards: async () => {
          await workerClock.sleep(random(50))
          return [...stream.shards.values()].map(({ shard }) => shard)
        },
        serviceNowMs: () => clock.wallMs(),
      },
      leases: leases.storeFor(call),
      clock: workerClock,
      logger: silent,
      random: () => random(1_000) / 1_000,
    },
    {
      application: 'a',
      from: options.from ?? { type: 'TRIM_HORIZON' },
      signal: stopping.signal,
      runShard,
      settings: leaseSettingsOf(options.settings),
      workerId: name,
      discoveryIntervalMs: 7_000,
    },
  )
  return {
    name,
    get isFrozen() {
      return isFrozen
    },
    freeze: () => void (isFrozen = true),
    thaw() {
      isFrozen = false
      for (const wake of waiting.splice(0)) if (!isDead) wake()
    },
    kill: () => void (isDead = true),
    async stop() {
      stopping.abort()
      await done
    },
  }
}

function firstIndex(stream: SimulatedStream, shardId: string, from: ShardPosition): number {
  const records = stream.shards.get(shardId)?.records ?? []
  if (from.type === 'TRIM_HORIZON' || from.type === 'LATEST') return 0
  const isBefore = (record: KinesisRecord) => {
    if (from.type === 'AT_TIMESTAMP') return record.approximateArrivalMs < from.timestampMs
    if (from.type === 'AT_SEQUENCE_NUMBER') return record.sequenceNumber < from.sequenceNumber
    return record.sequenceNumber <= from.sequenceNumber
  }
  return records.filter(isBefore).length
}
