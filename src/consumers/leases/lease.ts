/**
 * The leases of a stream: which process reads which shard, and how far each shard is read.
 *
 * Invariants:
 * - A lease is written by compare-and-set alone: a write names the lease that its author has read,
 *   and is refused when the stored one is another by now. So a checkpoint of a former owner is
 *   refused, and so is one that arrives late.
 * - Every write of the reader raises `counter`. A lease has expired when another process has seen
 *   the same counter for the failover time. Its reader stops earlier: it counts the failover time
 *   from before its last write, by its monotonic clock.
 * - The leases of the children of a shard are stored before the shard is `ended`.
 *
 * The protocol is that of the Kinesis Client Library, so that its workers and ours share one table.
 */
import type { Checkpoint, CheckpointScope } from '../checkpoints.ts'
import type { Clock } from '../../base/clock.ts'

export interface Lease {
  readonly shardId: string
  /** The process that reads the shard, or will read it when `handedOverBy` is done. */
  readonly owner?: string | undefined
  /** The process that still reads the shard: it finishes what it has begun, and checkpoints. */
  readonly handedOverBy?: string | undefined
  readonly counter: number
  readonly checkpoint: LeaseCheckpoint
  /** The start time of the checkpoint, or the missing one, stands for LATEST. */
  readonly isFromLatest: boolean
  /** How often the owner changed since the last checkpoint. */
  readonly ownerSwitches: number
  readonly parentIds: readonly string[]
  /** Known when the shard has ended. */
  readonly childIds: readonly string[]
  /** Both ends belong to the shard; undefined in leases of old releases of the KCL. */
  readonly hashKeys?: { readonly starting: bigint; readonly ending: bigint } | undefined
}

/** The KCL stores no time with LATEST and AT_TIMESTAMP: the reader that takes the shard has one. */
export type LeaseCheckpoint = Checkpoint | { readonly kind: 'untimed' }

/** The stored leases of one stream and application. Each call is one attempt, with a time limit. */
export interface LeaseTable {
  /** All leases, as they are at the time of the call or later. */
  list(signal?: AbortSignal): Promise<readonly Lease[]>
  get(shardId: string): Promise<Lease | undefined>
  /** @returns false when the shard has a lease */
  create(lease: Lease): Promise<boolean>
  /**
   * Compare-and-set. When it rejects, the write may have been made, or may still be made.
   *
   * @param before as it was read: counter, owner and `handedOverBy` are compared
   * @returns false when the stored lease is another one, or is gone
   */
  replace(before: Lease, after: Lease): Promise<boolean>
  /** @returns as `replace` */
  remove(lease: Lease): Promise<boolean>
  /**
   * The leases as far as this process knows, without a call: they may be a little older than those
   * of `list`. Absent where each look is a call.
   */
  readonly known?: () => readonly Lease[]
  /**
   * Where the store tells of changes: the listener gets each lease that any process has written. It
   * never throws, and is called until the table is closed.
   */
  readonly onWritten?: (listener: (lease: Lease) => void) => void
  /** Ends all connections. */
  close(): void
}

/** Where the leases of applications are stored: DynamoDB, or the state of a cluster. */
export interface LeaseStore {
  /**
   * Opens the leases of an application; makes what they are stored in when it is missing. Leases of
   * an earlier stream of the same name are removed.
   *
   * @throws SluiceError LeaseTableUnusable (rejects), and errors of the service that may pass
   */
  openLeases(
    scope: CheckpointScope,
    clock: Clock,
    signal: AbortSignal | undefined,
  ): Promise<LeaseTable>
}

/** How long a process may take to finish a shard that another one has asked for. */
export const handoverMsMax = 30_000

/** The process that reads the shard now. */
export const readerOf = ({ owner, handedOverBy }: Lease) => handedOverBy ?? owner

export const isEnded = ({ checkpoint }: Lease) => checkpoint.kind === 'ended'

/** A sign of life of the reader. */
export const renewed = (lease: Lease): Lease => ({ ...lease, counter: lease.counter + 1 })

/** @param timedCheckpoint the checkpoint, with its start time */
export function taken(lease: Lease, owner: string, timedCheckpoint: Checkpoint): Lease {
  const isSwitch = lease.owner !== undefined && lease.owner !== owner
  return {
    ...renewed(lease),
    owner,
    handedOverBy: undefined,
    checkpoint: timedCheckpoint,
    ownerSwitches: lease.ownerSwitches + (isSwitch ? 1 : 0),
  }
}

/** Asks the owner to hand the shard over. The counter stays: the owner goes on until it is done. */
export const askedFor = (lease: Lease, by: string): Lease => ({
  ...lease,
  owner: by,
  handedOverBy: lease.owner,
})

/** Takes the question back: the process that asked stops. */
export const withdrawn = (lease: Lease): Lease => ({
  ...lease,
  owner: lease.handedOverBy,
  handedOverBy: undefined,
})

export const checkpointed = (lease: Lease, checkpoint: Checkpoint): Lease => ({
  ...renewed(lease),
  checkpoint,
  ownerSwitches: 0,
})

export const ended = (lease: Lease, childIds: readonly string[]): Lease => ({
  ...checkpointed(lease, { kind: 'ended' }),
  owner: undefined,
  handedOverBy: undefined,
  childIds,
})

/** The reader has finished: the shard is for the process that asked for it, or for any. */
export const released = (lease: Lease): Lease =>
  lease.handedOverBy === undefined
    ? { ...renewed(lease), owner: undefined }
    : { ...renewed(lease), handedOverBy: undefined, ownerSwitches: lease.ownerSwitches + 1 }
