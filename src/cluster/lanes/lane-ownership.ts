/**
 * Decides which lanes this node owns.
 *
 * - Live nodes share the lanes evenly. A node is live for a while after each of its notices.
 * - A lane is free when its last progress names no owner, when that is this node itself, or when no
 *   progress was seen for `leaseMs`: by the clock of this node, and only by durations, so that
 *   clocks may differ as they like.
 * - A free lane is taken by compare-and-set on its last revision: of two nodes one gets it, and an
 *   owner that has written meanwhile keeps it.
 * - A node with more than its share hands lanes over. Others take them at once.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { LaneLostError, laneCount } from '../log/replicated-log.ts'
import type { LaneProgress, NodeNotice, ReplicatedLog } from '../log/replicated-log.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import { decodeLaneState, encodeLaneState, newLane } from './lane-state.ts'
import type { LaneState } from './lane-state.ts'
import type { Acquired, OwnedLane } from './owned-lane.ts'

/** Without a sign of its owner for this time a lane may be taken. */
const leaseMs = 10_000
const announceMs = 2_000
/** A node is live for this time after its last notice. */
const liveMs = 10_000
/** Lanes are looked at after each change, and so often in any case. */
const lookMs = 1_000
/** The notices of this node come back from the log: without them, it cannot be reached. */
const silentMsMax = 6_000
/** Nodes that are remembered. Dead ones are forgotten before. */
const nodesMax = 1_000

/** The last progress of a lane, and when this node has first seen it. */
interface SeenLane {
  readonly revision: number
  /** Undefined: a later release wrote it, or it is damaged. */
  readonly state: LaneState | undefined
  readonly seenMs: number
}

/** A live node. */
export interface LiveNode {
  readonly name: string
  /** What it tells of itself, as its release wrote it. Empty: it tells nothing. */
  readonly about: Uint8Array
  /** Since its last notice. */
  readonly silentMs: number
}

/** A lane as it was last told. */
export interface LaneView {
  readonly lane: number
  /** Undefined: a later release wrote it, or it is damaged. */
  readonly state: LaneState | undefined
  /** Since this node has seen its last progress. */
  readonly silentMs: number
  /** Whether it has no owner, or one that was silent for longer than its lease. */
  readonly isFree: boolean
}

interface LaneOwnership {
  /** The lanes that are owned now. */
  readonly owned: ReadonlyMap<number, OwnedLane>
  /** The last states of all lanes, also of those of other nodes. */
  states(): readonly LaneState[]
  /** The names of live nodes, this one among them. */
  nodes(): readonly string[]
  /** The live nodes with what they tell of themselves. */
  members(): readonly LiveNode[]
  /** All lanes that are known, in order. */
  views(): readonly LaneView[]
  /** The node that owns a lane, as it was last told. */
  ownerOf(lane: number): string | undefined
  /** Whether the log has told nothing for some time. */
  isSilent(): boolean
  /** A lane of this node has ended by itself. */
  lost(lane: OwnedLane): void
  start(): Promise<void>
  /** Hands all lanes over, and says that this node goes. */
  stop(): Promise<void>
}

interface LaneOwnershipDependencies {
  readonly log: Pick<
    ReplicatedLog,
    'progress' | 'writeProgress' | 'watchProgress' | 'announce' | 'watchNodes'
  >
  readonly clock: Clock
  readonly limitedLog: LimitedLog
  readonly own: (acquired: Acquired) => OwnedLane
}

/**
 * @param node its name, which no other process ever has: letters, digits, `-` and `_`
 * @param about what it tells the others of itself
 */
export function createLaneOwnership(
  dependencies: LaneOwnershipDependencies,
  node: string,
  about: Uint8Array = new Uint8Array(),
): LaneOwnership {
  const { log, clock, limitedLog } = dependencies
  const lanes = createSeenLanes(dependencies, node)
  const live = createLiveNodes(clock, { name: node, about })
  const ending = new AbortController()
  const { signal } = ending
  const own = createOwnLanes({ ...dependencies, lanes, node, seen, look, signal })
  const { owned, acquiring } = own
  let heardMs: number | undefined

  function seen(progress: LaneProgress): void {
    heardMs = clock.monotonicMs()
    if (!lanes.note(progress)) return
    own.check(progress.lane)
    look()
  }

  /** Takes lanes or hands some over, until this node has its share. */
  function look(): void {
    if (signal.aborted || !lanes.areKnown()) return
    const { share, first } = live.shareOf()
    for (const lane of own.kept().slice(share)) void own.release(lane)
    for (let step = 0; step < laneCount; step++) {
      if (owned.size + acquiring.size >= share) return
      const lane = (first + step) % laneCount
      if (owned.has(lane) || acquiring.has(lane) || !lanes.isFree(lane)) continue
      acquiring.set(lane, own.acquire(lane))
    }
  }

  async function announce(): Promise<void> {
    try {
      await log.announce(node, about)
    } catch (thrown) {
      if (signal.aborted) return
      const reason = messageOf(thrown)
      limitedLog.error('announce', { reason }, 'this node cannot tell the others that it is there')
    }
  }

  return {
    owned,
    states: lanes.states,
    nodes: () => live.names(),
    members: () => live.members(),
    views: () => lanes.views(),
    ownerOf: (lane) => lanes.get(lane)?.state?.owner,
    isSilent: () => heardMs !== undefined && clock.monotonicMs() - heardMs > silentMsMax,
    lost: (lane) => own.lost(lane),
    async start() {
      heardMs = clock.monotonicMs()
      log.watchNodes((notice) => {
        heardMs = clock.monotonicMs()
        live.noticed(notice)
        look()
      }, signal)
      void repeat(announce, announceMs, clock, signal)
      const all = Array.from({ length: laneCount }, (_, lane) => lane)
      await Promise.all(all.map(async (lane) => seen(await log.progress(lane))))
      log.watchProgress(seen, signal)
      void repeat(look, lookMs, clock, signal)
    },
    async stop() {
      ending.abort()
      await Promise.all([...Array.from(owned.values(), own.release), ...acquiring.values()])
      await log.announce(node, undefined).catch(() => undefined)
    },
  }
}

/** Does something again and again until the signal aborts. */
async function repeat(
  work: () => Promise<void> | void,
  everyMs: number,
  clock: Pick<Clock, 'sleep'>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await work()
    await clock.sleep(everyMs, signal)
  }
}

interface OwnLanesParts extends LaneOwnershipDependencies {
  readonly lanes: ReturnType<typeof createSeenLanes>
  readonly node: string
  readonly seen: (progress: LaneProgress) => void
  readonly look: () => void
  /** Aborts when this node takes part no more. */
  readonly signal: AbortSignal
}

/** The lanes that this node owns, and how they come and go. */
function createOwnLanes(parts: OwnLanesParts) {
  const { log, clock, limitedLog, own, lanes, node, seen, look, signal } = parts
  const owned = new Map<number, OwnedLane>()
  const acquiring = new Map<number, Promise<void>>()
  const releasing = new Set<OwnedLane>()

  async function acquire(lane: number): Promise<void> {
    const { revision = 0, state: before = newLane } = lanes.get(lane) ?? {}
    const state: LaneState = { ...before, owner: node, epoch: before.epoch + 1, write: 1 }
    const startedMs = clock.monotonicMs()
    try {
      const data = encodeLaneState(state)
      const written = await log.writeProgress({ lane, revision, data })
      acquiring.delete(lane)
      const mine = own({ lane, revision: written.revision, startedMs, state })
      owned.set(lane, mine)
      seen({ lane, revision: written.revision, data })
      if (signal.aborted) await release(mine)
    } catch (thrown) {
      if (thrown instanceof LaneLostError) await lookUp(lane)
      else tellNotTaken(lane, thrown)
      acquiring.delete(lane)
    }
  }

  /** The lane is tried again, and until then it may be that nobody delivers it. */
  function tellNotTaken(lane: number, thrown: unknown): void {
    if (signal.aborted) return
    const fields = { lane, reason: messageOf(thrown) }
    limitedLog.error('acquire', fields, 'this node cannot take a lane')
  }

  /** The watch tells who has a lane, too, but may be late. */
  async function lookUp(lane: number): Promise<void> {
    try {
      seen(await log.progress(lane))
    } catch {
      // The log is closed.
    }
  }

  async function release(lane: OwnedLane): Promise<void> {
    releasing.add(lane)
    await lane.release()
    releasing.delete(lane)
    gone(lane)
    look()
  }

  function gone(lane: OwnedLane): void {
    if (owned.get(lane.lane) === lane) owned.delete(lane.lane)
  }

  return {
    owned,
    acquiring,
    acquire,
    release,
    /** The lanes that are not being handed over. */
    kept: () => [...owned.values()].filter((lane) => !releasing.has(lane)),
    lost(lane: OwnedLane): void {
      gone(lane)
      void lookUp(lane.lane)
    },
    /** Lets go of a lane that somebody else has written, before the next write shows it. */
    check(lane: number): void {
      const mine = owned.get(lane)
      if (mine === undefined || releasing.has(mine)) return
      if (lanes.get(lane)?.state?.owner === node) return
      mine.close()
      gone(mine)
    },
  }
}

/** What is known of all lanes. */
function createSeenLanes(
  { clock, limitedLog }: Pick<LaneOwnershipDependencies, 'clock' | 'limitedLog'>,
  node: string,
) {
  const lanes = new Map<number, SeenLane>()
  return {
    get: (lane: number) => lanes.get(lane),
    areKnown: () => lanes.size === laneCount,
    states: () => [...lanes.values()].flatMap(({ state }) => state ?? []),
    views(): readonly LaneView[] {
      const nowMs = clock.monotonicMs()
      return [...lanes]
        .toSorted(([left], [right]) => left - right)
        .map(([lane, { state, seenMs }]) => {
          const silentMs = nowMs - seenMs
          const isFree = state?.owner === undefined || silentMs >= leaseMs
          return { lane, state, silentMs, isFree }
        })
    },
    /** @returns false when it is no news */
    note({ lane, revision, data }: LaneProgress): boolean {
      const known = lanes.get(lane)
      if (known !== undefined && known.revision >= revision) return false
      const state = decodeLaneState(data)
      lanes.set(lane, { revision, state, seenMs: clock.monotonicMs() })
      if (state !== undefined) return true
      limitedLog.error(
        `lane ${lane}`,
        { lane, revision },
        'the progress of a lane cannot be read, so this node leaves the lane alone: upgrade it if ' +
          'other nodes have a later release',
      )
      return true
    },
    isFree(lane: number): boolean {
      const known = lanes.get(lane)
      if (known?.state === undefined) return false
      const { owner } = known.state
      if (owner === undefined || owner === node) return true
      return clock.monotonicMs() - known.seenMs >= leaseMs
    },
  }
}

/** The nodes that have said lately that they live. */
function createLiveNodes(
  clock: Pick<Clock, 'monotonicMs'>,
  self: { readonly name: string; readonly about: Uint8Array },
) {
  const notices = new Map<string, { readonly atMs: number; readonly about: Uint8Array }>()

  function members(): readonly LiveNode[] {
    const nowMs = clock.monotonicMs()
    const others = [...notices]
      .map(([name, { atMs, about }]) => ({ name, about, silentMs: nowMs - atMs }))
      .filter(({ name, silentMs }) => silentMs < liveMs && name !== self.name)
    const own = { ...self, silentMs: 0 }
    return [own, ...others].toSorted((left, right) => (left.name < right.name ? -1 : 1))
  }

  const names = () => members().map(({ name }) => name)

  return {
    names,
    members,
    noticed({ node, data }: NodeNotice): void {
      notices.delete(node)
      if (data !== undefined) notices.set(node, { atMs: clock.monotonicMs(), about: data })
      for (const oldest of notices.keys()) {
        if (notices.size <= nodesMax) break
        notices.delete(oldest)
      }
    },
    /** How many lanes this node is to own, and from which on it takes them. */
    shareOf(): { readonly share: number; readonly first: number } {
      const all = names()
      const place = all.indexOf(self.name)
      const rest = laneCount % all.length
      const whole = Math.floor(laneCount / all.length)
      const share = place < rest ? whole + 1 : whole
      return { share, first: whole * place + Math.min(place, rest) }
    },
  }
}
