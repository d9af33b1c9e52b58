/**
 * Leases in the state that the nodes of a cluster share. The kind of their entries is their
 * application; the names are
 *
 *     <stream ARN> <stream created (ms)> <shard id>               the lease
 *     <stream ARN> <stream created (ms)> <shard id> <id> <index>  a part of its state
 *
 * Invariants:
 * - A lease is written over the revision of what its author has compared, so that of two writers
 *   one is refused.
 * - The parts of a state are written before the lease that names them, under an id of their own,
 *   and are removed after the next one. Parts that no lease names go with the next write.
 */
import { randomUUID } from 'node:crypto'
import { SluiceError } from '../../base/errors.ts'
import type { ClusterState, StateView } from '../../cluster/state/cluster-state.ts'
import { keyPartOf } from '../../cluster/state/shared-state.ts'
import type { StateEntry } from '../../cluster/state/shared-state.ts'
import type { CheckpointScope } from '../checkpoints.ts'
import type { Lease, LeaseTable } from './lease.ts'
import { leaseOfText, stateOf, textOfLease, withState } from './lease-text.ts'
import type { StateParts } from './lease-text.ts'

interface StateLeaseTableOptions {
  readonly scope: CheckpointScope
  /** For errors: `cluster sluice`. */
  readonly place: string
  /** Ends what the table alone uses. */
  readonly close: () => void
}

/** Bytes of a state in the text of its lease, roughly; a longer one is stored beside it. */
const inlineCharactersMax = 65_536
/** Of a part: at most three bytes each. */
const partCharactersMax = 262_144

/** The kind of the entries of an application. */
export const kindOfApplication = (application: string) => `lease-${keyPartOf(application)}`

/** The store cannot be reached: a later call may succeed. */
class LeasesUnreachable extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause })
    this.name = 'LeasesUnreachable'
  }
}

/**
 * Opens the leases of an application, and removes those of an earlier stream of the same name.
 *
 * @throws SluiceError LeaseTableUnusable: a lease is none of this release; an error that may pass
 *   while the state cannot be reached (rejects)
 */
export async function openStateLeaseTable(
  state: Pick<ClusterState, 'view'>,
  options: StateLeaseTableOptions,
): Promise<LeaseTable> {
  const view = state.view(kindOfApplication(options.scope.application))
  await passing(() => view.caughtUp())
  await passing(() => removeEarlierStream(view, options.scope))
  return createTable(view, options)
}

function createTable(view: StateView, { scope, place, close }: StateLeaseTableOptions): LeaseTable {
  const names = namesIn(view, scope)
  const read = createReading(view, { place, names })
  const stops: (() => void)[] = []

  const known = (): readonly Lease[] =>
    view.names().flatMap((name) => {
      const shardId = names.shardIdOf(name)
      return (shardId === undefined ? undefined : read(shardId)?.lease) ?? []
    })
  /** A lease of another release is told of by the next look. */
  function readQuietly(shardId: string): Lease | undefined {
    try {
      return read(shardId)?.lease
    } catch {
      return undefined
    }
  }

  return {
    known,
    list: () =>
      passing(async () => {
        await view.caughtUp()
        return known()
      }),
    get: (shardId) =>
      passing(async () => {
        await view.caughtUp()
        return read(shardId)?.lease
      }),
    ...createWrites(view, { names, read }),
    onWritten(listener) {
      const stop = view.onChange((name) => {
        const shardId = names.shardIdOf(name)
        const lease = shardId === undefined ? undefined : readQuietly(shardId)
        if (lease) listener(lease)
      })
      stops.push(stop)
    },
    close() {
      for (const stop of stops.splice(0)) stop()
      close()
    },
  }
}

function createWrites(
  view: StateView,
  {
    names: { nameOf, partNamesOf },
    read,
  }: { readonly names: LeaseNames; readonly read: (shardId: string) => ReadLease | undefined },
): Pick<LeaseTable, 'create' | 'replace' | 'remove'> {
  /** The entry when it is the lease that the caller has read. */
  async function found(before: Lease): Promise<ReadLease | undefined> {
    const first = read(before.shardId)
    if (first && isSame(first.lease, before)) return first
    // The copy may be behind what the caller knows.
    await view.caughtUp()
    const now = read(before.shardId)
    return now && isSame(now.lease, before) ? now : undefined
  }
  async function write(lease: Lease, before: ReadLease | undefined): Promise<boolean> {
    const name = nameOf(lease.shardId)
    const outdated = partNamesOf(lease.shardId)
    const parts = await writeParts(view, name, lease, before)
    const written = await view.put(name, textOfLease(lease, parts), before?.entry.revision)
    const isOld = (part: string) => parts === undefined || !part.startsWith(`${name} ${parts.id} `)
    if (written) await removeAll(view, outdated.filter(isOld))
    else if (parts && parts.id !== before?.parts?.id) {
      await removeAll(view, partNames(name, parts))
    }
    return written !== undefined
  }

  return {
    create: (lease) => passing(() => write(lease, undefined)),
    replace: (before, after) =>
      passing(async () => {
        const now = await found(before)
        return now !== undefined && write(after, now)
      }),
    remove: (lease) =>
      passing(async () => {
        const now = await found(lease)
        if (!now || !(await view.remove(nameOf(lease.shardId), now.entry.revision))) return false
        await removeAll(view, partNamesOf(lease.shardId))
        return true
      }),
  }
}

interface ReadLease {
  readonly entry: StateEntry
  readonly lease: Lease
  readonly parts: StateParts | undefined
}

type LeaseNames = ReturnType<typeof namesIn>

function namesIn(view: StateView, { streamArn, streamCreatedMs }: CheckpointScope) {
  const prefix = `${streamArn} ${streamCreatedMs} `
  const nameOf = (shardId: string) => `${prefix}${shardId}`
  return {
    nameOf,
    /** Undefined for a name that is not that of a lease of the stream. */
    shardIdOf: (name: string): string | undefined => {
      const shardId = name.startsWith(prefix) ? name.slice(prefix.length) : ''
      return shardId === '' || shardId.includes(' ') ? undefined : shardId
    },
    partNamesOf: (shardId: string) =>
      view.names().filter((name) => name.startsWith(`${nameOf(shardId)} `)),
  }
}

const partNames = (name: string, { id, parts }: StateParts) =>
  Array.from({ length: parts }, (_, index) => `${name} ${id} ${index}`)

/** @returns a function that reads a lease; it parses each entry once */
function createReading(
  view: StateView,
  { place, names }: { readonly place: string; readonly names: LeaseNames },
): (shardId: string) => ReadLease | undefined {
  /** As many as the stream has shards. */
  const cached = new Map<string, ReadLease>()

  return (shardId) => {
    const name = names.nameOf(shardId)
    const entry = view.get(name)
    if (!entry) {
      cached.delete(shardId)
      return undefined
    }
    const before = cached.get(shardId)
    if (before?.entry.revision === entry.revision) return before
    const stored = leaseOfText(entry.value.toString())
    const lease = stored && withParts(view, name, stored)
    if (!stored || lease?.shardId !== shardId) {
      throw new SluiceError(
        'LeaseTableUnusable',
        `${entry.key}: what ${place} holds of it is no lease of this release`,
      )
    }
    const read = { entry, lease, parts: stored.parts }
    cached.set(shardId, read)
    return read
  }
}

/** @returns undefined when a part is missing */
function withParts(
  view: StateView,
  name: string,
  { lease, parts }: NonNullable<ReturnType<typeof leaseOfText>>,
): Lease | undefined {
  if (!parts) return lease
  const texts = partNames(name, parts).map((part) => view.get(part)?.value.toString())
  if (texts.includes(undefined)) return undefined
  return { ...lease, checkpoint: withState(lease.checkpoint, texts.join('')) }
}

/** @returns where the state of the lease is; undefined when it stands in the lease */
async function writeParts(
  view: StateView,
  name: string,
  { checkpoint }: Lease,
  before: ReadLease | undefined,
): Promise<StateParts | undefined> {
  const state = stateOf(checkpoint)
  if (state === undefined || state.length <= inlineCharactersMax) return undefined
  // A renewal has the state of before.
  if (before?.parts && stateOf(before.lease.checkpoint) === state) return before.parts
  const texts = pieces(state)
  const parts = { id: randomUUID(), parts: texts.length }
  for (const [index, part] of partNames(name, parts).entries()) {
    await view.put(part, texts[index] ?? '', undefined)
  }
  return parts
}

/** Cuts between characters: a half of a surrogate pair would not come back. */
function pieces(text: string): readonly string[] {
  const found: string[] = []
  for (let start = 0; start < text.length;) {
    const end = start + partCharactersMax
    const isBetweenHalves = /[\uD800-\uDBFF]/.test(text.charAt(end - 1))
    const next = isBetweenHalves ? end - 1 : end
    found.push(text.slice(start, next))
    start = next
  }
  return found
}

/** What cannot be removed now goes with the next write. */
async function removeAll(view: StateView, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const entry = view.get(name)
    try {
      if (entry) await view.remove(name, entry.revision)
    } catch (thrown) {
      if (!(thrown instanceof SluiceError)) throw thrown
      return
    }
  }
}

async function removeEarlierStream(
  view: StateView,
  { streamArn, streamCreatedMs }: CheckpointScope,
): Promise<void> {
  const isEarlier = (name: string) =>
    name.startsWith(`${streamArn} `) && !name.startsWith(`${streamArn} ${streamCreatedMs} `)
  await removeAll(view, view.names().filter(isEarlier))
}

const isSame = (stored: Lease, read: Lease) =>
  stored.counter === read.counter &&
  stored.owner === read.owner &&
  stored.handedOverBy === read.handedOverBy

/** Gives what may pass an error that readers of leases wait out. */
async function passing<Result>(call: () => Promise<Result>): Promise<Result> {
  try {
    return await call()
  } catch (thrown) {
    const mayPass = thrown instanceof SluiceError && thrown.code === 'ServiceUnavailableException'
    throw mayPass ? new LeasesUnreachable(thrown) : thrown
  }
}
