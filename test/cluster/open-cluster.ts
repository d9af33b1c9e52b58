import { decodeChunk } from '../../src/cluster/lanes/chunk-codec.ts'
import { laneOf } from '../../src/cluster/lanes/lane-of.ts'
import { decodeLaneState } from '../../src/cluster/lanes/lane-state.ts'
import { laneCount } from '../../src/cluster/log/replicated-log.ts'
import type { GivenUpAnswer, GivenUpRecord } from '../../src/delivery/producer.ts'
import type { LedgerCounts, NewRecord } from '../../src/outbox/outbox.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { oneOf } from '../helpers/random.ts'
import type { Random } from '../helpers/random.ts'
import { destination, newRecordFor } from '../outbox/records.ts'
import { openDiskOutbox, startClusterNode } from './cluster-node.ts'
import type { ClusterNode } from './cluster-node.ts'
import { createFakeStreams } from './fake-streams.ts'
import { createMemoryLog, noFaults } from './memory-log.ts'
import type { Link, LinkFaults } from './memory-log.ts'
import { createMemoryOutbox } from './memory-outbox.ts'
import { createMemoryServers } from './memory-servers.ts'

/** How the clock is moved: so far at a time, after so many turns of the event loop. */
const stepMs = 40
const turns = 2
const hourMs = 3_600_000
/** Everything must be over within this time after the last fault. */
export const healMs = 120_000

/** A node, and its way to the servers. */
interface LinkedNode extends ClusterNode {
  readonly link: Link
}

interface ClusterOptions {
  /** Whether the outboxes are on disk, which takes longer. */
  readonly hasDisk?: boolean
  readonly readAheadBytesMax?: number
  readonly letterBytesMax?: number
}

/** Servers, streams and nodes in one process, by a clock that moves only when the test moves it. */
export function createCluster(
  random: Random,
  { hasDisk = false, readAheadBytesMax, letterBytesMax }: ClusterOptions = {},
) {
  const clock = createManualClock()
  const servers = createMemoryServers()
  const network = { hasLeader: true }
  const findings: string[] = []
  const nodes: LinkedNode[] = []
  /** Nodes that were told to stop, and are not gone yet. */
  const stopping = new Map<LinkedNode, Promise<void>>()
  const disk = { work: 0 }
  let storedRecords = 0
  let appends = 0
  const append = servers.append.bind(servers)
  servers.append = (chunks, areMoved) => {
    append(chunks, areMoved)
    for (const { data } of chunks) {
      const decoded = decodeChunk(data)
      if (decoded.kind === 'records') storedRecords += decoded.values.length
    }
  }
  const ownerOf = (lane: number) => decodeLaneState(servers.progressOf(lane).data)?.owner
  const streams = createFakeStreams(clock, random, (node, partitionKey) => {
    const owner = ownerOf(laneOf(partitionKey))
    if (owner === node) return
    findings.push(`${node} sends ${partitionKey}, which ${owner ?? 'nobody'} owns`)
  })

  async function step(): Promise<void> {
    for (let turn = 0; turn < turns || disk.work > 0; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    clock.advance(stepMs)
  }
  async function move(ms: number): Promise<void> {
    const endMs = clock.monotonicMs() + ms
    while (clock.monotonicMs() < endMs) await step()
  }
  async function moveUntil(ended: Promise<unknown>): Promise<void> {
    const state = { isOver: false }
    void ended.finally(() => Object.assign(state, { isOver: true }))
    const lateMs = clock.monotonicMs() + healMs
    while (!state.isOver && clock.monotonicMs() < lateMs) await step()
    if (!state.isOver) throw new Error('it does not end')
  }
  async function duringDiskWork<Result>(work: Promise<Result>): Promise<Result> {
    disk.work += 1
    try {
      return await work
    } finally {
      disk.work -= 1
    }
  }

  return {
    clock,
    servers,
    network,
    findings,
    nodes,
    streams,
    move,
    moveUntil,
    ownerOf,
    storedRecords: () => storedRecords,
    appending: () => appends,
    async add(faults: LinkFaults = faultsOf(random)): Promise<LinkedNode> {
      const link = { isPartitioned: false, faults }
      const wallAheadMs = (random(3) - 1) * hourMs
      const started = await startClusterNode({
        clock,
        random,
        openLog: (nodeClock) =>
          createMemoryLog({ servers, network, clock, random, link, nodeClock }),
        wallAheadMs,
        duringDiskWork,
        openOutbox: hasDisk
          ? openDiskOutbox
          : (parts) => Promise.resolve(createMemoryOutbox(parts.clock)),
        callsFor: streams.callsFor,
        onGivenUp: replaceEven,
        readAheadBytesMax,
        letterBytesMax,
      })
      const kill = () => {
        link.isPartitioned = true
        return started.kill()
      }
      const node = { ...started, link, kill }
      nodes.push(node)
      return node
    },
    /** A node is about to stop or to die. */
    forget(node: LinkedNode | undefined): void {
      if (node !== undefined) nodes.splice(nodes.indexOf(node), 1)
    },
    /** Moves the clock until there is an answer. */
    async answerOf<Answer>(asked: Promise<Answer>): Promise<Answer> {
      await moveUntil(asked.catch(() => undefined))
      return asked
    },
    async moveUntilEmpty(): Promise<void> {
      const lateMs = clock.monotonicMs() + healMs
      while (servers.chunks().length > 0 && clock.monotonicMs() < lateMs) await move(100)
      if (servers.chunks().length > 0) throw new Error('the log has chunks left')
    },
    /** A node goes, and another one comes. */
    async replace(node: LinkedNode, how: 'stop' | 'kill'): Promise<void> {
      this.forget(node)
      if (how === 'kill') void node.kill()
      else stopping.set(node, node.stop())
      await this.add()
    },
    async append(node: ClusterNode, records: readonly NewRecord[]): Promise<void> {
      appends += 1
      try {
        const killed = node.killed.then(() => Promise.reject(new Error('the node was killed')))
        await Promise.race([node.lanes.outbox.append(records), killed])
      } finally {
        appends -= 1
      }
    },
    async heal(): Promise<void> {
      network.hasLeader = true
      servers.isFull = false
      Object.assign(streams.faults, { late: 0, answerLost: 0, throttled: 0 })
      streams.stuck.clear()
      for (const node of [...nodes, ...stopping.keys()]) {
        node.link.isPartitioned = false
        node.link.faults = noFaults
        if (node.clock.isFrozen()) node.clock.thaw()
      }
    },
    ledger(): LedgerCounts {
      const [first] = nodes
      if (first === undefined) throw new Error('no node is left')
      return first.lanes.ledgerTotals()
    },
    /** The bytes of dead letters that the lanes count must be those that the log has. */
    checkLetters(): void {
      const counted = nodes[0]?.lanes.deadLetterBytes()
      const stored = servers.deadLettersAfter(0, 100_000)
      const bytes = stored.reduce((sum, { data }) => sum + data.length, 0)
      if (counted !== bytes) findings.push(`${counted} bytes of dead letters are ${bytes}`)
    },
    /** While the log is empty no lane lags. */
    checkLag(): void {
      const lag = nodes.flatMap(({ lanes }) => [...lanes.lag().values()])
      if (lag.some((records) => records !== 0)) findings.push(`the lanes lag by ${lag.join(' ')}`)
    },
    checkShares(): void {
      const owned = nodes.map(({ lanes }) => lanes.owned())
      const counts = owned.map(({ length }) => length)
      const all = new Set(owned.flat())
      if (all.size === laneCount && Math.max(...counts) - Math.min(...counts) <= 1) return
      findings.push(`the nodes own ${JSON.stringify(owned)}`)
    },
    async end(): Promise<void> {
      for (const stopped of stopping.values()) await moveUntil(stopped)
      for (const node of nodes) await moveUntil(node.stop())
      for (let lane = 0; lane < laneCount; lane++) {
        const owner = ownerOf(lane)
        if (owner !== undefined) findings.push(`${owner} has not handed lane ${lane} over`)
      }
    },
  }
}

export type Cluster = ReturnType<typeof createCluster>

function faultsOf(random: Random): LinkFaults {
  const often = () => oneOf([0, 0, 50, 200], random)
  return {
    requestLost: often(),
    answerLost: often(),
    twice: often(),
    late: often(),
    refused: oneOf([0, 0, 0, 100], random),
  }
}

/** Strict order: no two records of a key change places, also when a call fails in part. */
export const strictRecord = (streamName: string, partitionKey: string, text: string): NewRecord =>
  newRecordFor(destination(streamName, { ordering: 'strict' }), partitionKey, text)

/** Every second record that is given up goes to its error action. */
function replaceEven(records: readonly GivenUpRecord[]): Promise<GivenUpAnswer> {
  return Promise.resolve({
    replacements: records.map(({ record }) => {
      const text = record.data.toString()
      const isReplaced = Number(text.split(' ').at(-1)) % 2 === 0
      return isReplaced ? [strictRecord('errors', record.partitionKey, `was ${text}`)] : undefined
    }),
  })
}
