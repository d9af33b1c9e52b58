import { describe, expect, test } from 'vitest'
import type { ConsumedBatch } from '../../../src/consumers/consumed-batch.ts'
import { isEnded, readerOf } from '../../../src/consumers/leases/lease.ts'
import type { Lease } from '../../../src/consumers/leases/lease.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { createRandom, oneOf } from '../../helpers/random.ts'
import type { Random } from '../../helpers/random.ts'
import { createMemoryLeases, createSimulatedStream, startWorker } from './simulated-workers.ts'
import type { CreateLeases, Worker } from './simulated-workers.ts'
import { createStateLeases } from './state-leases.ts'

const failoverMs = 2_000
const stepMs = 20

function positionOf({ checkpoint }: Lease): number {
  if (checkpoint.kind === 'ended') return Infinity
  return checkpoint.kind === 'after' ? Number(checkpoint.sequenceNumber) : 0
}

/** A stream, the leases of its shards, and the workers that share it, in simulated time. */
function createWorld(
  random: Random,
  shardCount: number,
  createLeases: CreateLeases = createMemoryLeases,
) {
  const clock = createManualClock()
  const stream = createSimulatedStream(clock, shardCount)
  const seen = new Map<string, number>()
  const problems: string[] = []
  const leases = createLeases((before, after) => {
    if (positionOf(after) < positionOf(before)) {
      problems.push(`${after.shardId}: the checkpoint went back`)
    }
  }, clock)
  const workers: Worker[] = []
  let faultShare = 0
  let started = 0

  /** Each record is first seen in order, from the process that has the lease, after all parents. */
  function check(worker: string, { shardId, records }: ConsumedBatch): void {
    const lease = leases.leases().get(shardId)
    const reader = lease && readerOf(lease)
    if (reader !== worker) problems.push(`${worker} reads ${shardId}, which is ${reader}'s`)
    for (const parentId of stream.shards.get(shardId)?.shard.parentIds ?? []) {
      const parent = stream.shards.get(parentId)
      if ((seen.get(parentId) ?? 0) < (parent?.records.length ?? 0)) {
        problems.push(`${shardId} is read before ${parentId} has ended`)
      }
    }
    const all = stream.shards.get(shardId)?.records ?? []
    for (const record of records) {
      const index = all.findIndex((each) => each.sequenceNumber === record.sequenceNumber)
      const next = seen.get(shardId) ?? 0
      if (index > next) problems.push(`${shardId}: record ${index} comes before ${next}`)
      if (index === next) seen.set(shardId, next + 1)
    }
  }

  async function move(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
      clock.advance(stepMs)
    }
  }

  return {
    clock,
    stream,
    leases,
    workers,
    problems,
    move,
    setFaults: (share: number) => void (faultShare = share),
    /** Starts a worker; a start that meets a fault is tried again, as a supervisor does. */
    async start(): Promise<Worker> {
      const name = `w${++started}`
      const starting = startWorker({
        name,
        clock,
        stream,
        leases,
        random: (below) => random(below),
        faultShare: () => faultShare,
        handler: (batch) => check(name, batch),
        settings: { failoverMs, checkpointIntervalMs: 300 },
      })
      const state: { worker?: Worker | undefined; isOver?: boolean } = {}
      starting.then(
        (worker) => Object.assign(state, { worker, isOver: true }),
        () => Object.assign(state, { isOver: true }),
      )
      while (!state.isOver) await move(stepMs)
      if (!state.worker) return this.start()
      workers.push(state.worker)
      return state.worker
    },
    unseen: () =>
      [...stream.allRecords()].filter(([id, records]) => (seen.get(id) ?? 0) < records.length),
    async moveUntil(holds: () => boolean, msMax: number): Promise<void> {
      for (let leftMs = msMax; leftMs > 0 && !holds(); leftMs -= 100) await move(100)
      expect(holds()).toBe(true)
    },
    /** How many shards each worker reads. */
    shares: () => {
      const readers = [...leases.leases().values()].flatMap((lease) =>
        isEnded(lease) ? [] : [readerOf(lease) ?? 'nobody'],
      )
      return Object.fromEntries(
        [...new Set(readers)].map((each) => [each, readers.filter((r) => r === each).length]),
      )
    },
  }
}

type World = ReturnType<typeof createWorld>

function drop(world: World, worker: Worker): void {
  world.workers.splice(world.workers.indexOf(worker), 1)
}

async function oneEvent(world: World, random: Random): Promise<void> {
  const { workers, stream, clock } = world
  switch (random(9)) {
    case 0: {
      const worker = oneOf(workers, random)
      worker.freeze()
      clock.after(random(3 * failoverMs), () => worker.thaw())
      return
    }
    case 1:
      if (workers.length < 3) await world.start()
      return
    case 2: {
      if (workers.length < 2) return
      const worker = oneOf(workers, random)
      drop(world, worker)
      worker.kill()
      return
    }
    case 3: {
      if (workers.length < 2) return
      const worker = oneOf(workers, random)
      drop(world, worker)
      void worker.stop()
      return
    }
    case 4:
      if (stream.open().length < 5) stream.split(oneOf(stream.open(), random))
      return
    case 5: {
      const [left, right] = stream.open()
      if (left && right && stream.open().length > 3) stream.merge(left, right)
      return
    }
    default:
      for (const shardId of stream.open()) stream.put(shardId, random(12))
  }
}

describe('workers that share a stream', () => {
  const seeds = Array.from({ length: Number(process.env['SEEDS'] ?? 40) }, (_, seed) => seed)
  const stores: readonly (readonly [string, CreateLeases])[] = [
    ['a table', createMemoryLeases],
    ['the state of a cluster', createStateLeases],
  ]
  const cases = seeds.map((seed) => [seed, ...(stores[seed % 2] ?? ([] as never))] as const)

  test.each(cases)(
    'lose nothing and keep the order, whatever happens to them: %i, with leases in %s',
    async (seed, _, createLeases) => {
      const random = createRandom(seed)
      const world = createWorld(random, 1 + random(4), createLeases)
      for (const shardId of world.stream.open()) world.stream.put(shardId, 10)
      await world.start()
      await world.start()
      world.setFaults(seed % 3 === 0 ? 0 : 10)
      for (let event = 0; event < 40; event++) {
        await oneEvent(world, random)
        await world.move(random(1_000))
      }
      world.setFaults(0)
      for (const worker of world.workers) worker.thaw()
      await world.moveUntil(() => world.unseen().length === 0, 60 * failoverMs)
      expect(world.problems).toEqual([])
      await Promise.all([world.move(2_000), ...world.workers.map((worker) => worker.stop())])
    },
  )

  test.each(stores)(
    'have equal shares, also after one comes, stops, or dies, in %s',
    async (...of) => {
      const world = createWorld(createRandom(7), 6, of[1])
      const first = await world.start()
      await world.moveUntil(() => world.shares()['w1'] === 6, 2 * failoverMs)
      const second = await world.start()
      await world.start()
      await world.moveUntil(
        () => ['w1', 'w2', 'w3'].every((name) => world.shares()[name] === 2),
        20 * failoverMs,
      )
      await Promise.all([first.stop(), world.move(failoverMs / 4)])
      // What a worker gives back needs no failover time to be taken.
      await world.moveUntil(
        () => world.shares()['w2'] === 3 && world.shares()['w3'] === 3,
        failoverMs,
      )
      second.kill()
      await world.moveUntil(() => world.shares()['w3'] === 6, 4 * failoverMs)
      expect(world.problems).toEqual([])
    },
  )

  test('a shard that a worker has asked for is free when both stop', async () => {
    const world = createWorld(createRandom(3), 2, createStateLeases)
    const first = await world.start()
    await world.moveUntil(() => world.shares()['w1'] === 2, 2 * failoverMs)
    const second = await world.start()
    const isAsked = () =>
      [...world.leases.leases().values()].some((each) => each.handedOverBy === 'w1')
    for (let leftMs = 10 * failoverMs; leftMs > 0 && !isAsked(); leftMs -= stepMs)
      await world.move(stepMs)
    expect(isAsked()).toBe(true)
    await Promise.all([second.stop(), first.stop(), world.move(failoverMs / 4)])
    const owners = [...world.leases.leases().values()].map(readerOf)
    expect(owners).toEqual([undefined, undefined])
  })
})
