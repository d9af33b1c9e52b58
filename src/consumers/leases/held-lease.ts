import type { Clock } from '../../base/clock.ts'
import type { WarningLog } from '../../telemetry/limited-log.ts'
import type { Checkpoint } from '../checkpoints.ts'
import { reasonOf } from '../retry-backoff.ts'
import { checkpointed, ended, released, renewed } from './lease.ts'
import type { Lease, LeaseTable } from './lease.ts'
import type { LeaseSettings } from './lease-settings.ts'
import { createLeaseWriter, isPassing } from './lease-writer.ts'

/** A lease that this process has taken, until it is released or lost. */
export interface HeldLease {
  /** Aborts when the shard is not to be read any more: it is lost, asked for, or to be stopped. */
  readonly signal: AbortSignal
  /**
   * Whether no other process may have taken the lease. It is asked before each batch: after a pause
   * of the process the answer comes before the timers do.
   */
  readonly isHeld: () => boolean
  /** @throws errors of the service that do not pass (rejects) */
  readonly renew: () => Promise<void>
  /** @throws LeaseLost (rejects) */
  readonly save: (checkpoint: Checkpoint) => Promise<void>
  /** The shard is read to its end, and its children have leases. @throws LeaseLost (rejects) */
  readonly end: (childIds: readonly string[]) => Promise<void>
  /** Never rejects: a lease that cannot be released expires. */
  readonly release: () => Promise<void>
}

interface HeldLeaseDependencies {
  readonly table: LeaseTable
  readonly clock: Clock
  readonly logger: WarningLog
}

interface HeldLeaseOptions extends Pick<LeaseSettings, 'failoverMs' | 'checkpointIntervalMs'> {
  readonly workerId: string
  /** As it was stored when it was taken. */
  readonly lease: Lease
  /** The monotonic time before it was taken. */
  readonly takenMs: number
  /** Ends the reading; the lease is kept until it is released. */
  readonly stop: AbortSignal
}

/** A lease that was written so short a part of the failover time ago is not renewed. */
const freshShare = 1 / 6

export function createHeldLease(
  dependencies: HeldLeaseDependencies,
  options: HeldLeaseOptions,
): HeldLease {
  const { clock, logger } = dependencies
  const { failoverMs, checkpointIntervalMs, stop, lease } = options
  const { shardId } = lease
  const over = new AbortController()
  const signal = AbortSignal.any([stop, over.signal])
  let checkpointedMs = -Infinity
  const validity = createValidity(dependencies, options, over)
  const { isHeld } = validity
  const { write, writeUntilMade } = createLeaseWriter(dependencies, {
    ...options,
    onWritten(written, startedMs) {
      validity.begin(startedMs)
      if (written.handedOverBy !== undefined) over.abort()
    },
    onLost: () => validity.lose(),
  })

  return {
    signal,
    isHeld,
    async renew() {
      // A checkpoint is a sign of life as well.
      if (!isHeld() || validity.leftMs() > (1 - freshShare) * failoverMs) return
      try {
        await write(renewed)
      } catch (thrown) {
        if (!isPassing(thrown)) throw thrown
        logger.warn({ shardId, reason: reasonOf(thrown) }, 'a lease could not be renewed')
      }
    },
    async save(checkpoint) {
      const pauseMs = checkpointedMs + checkpointIntervalMs - clock.monotonicMs()
      if (pauseMs > 0) await clock.sleep(pauseMs, signal)
      await writeUntilMade((before) => checkpointed(before, checkpoint), isHeld)
      checkpointedMs = clock.monotonicMs()
    },
    async end(childIds) {
      await writeUntilMade((before) => ended(before, childIds), isHeld)
      validity.close()
    },
    async release() {
      validity.close()
      try {
        await write(released)
      } catch (thrown) {
        const reason = reasonOf(thrown)
        logger.warn({ shardId, reason }, 'a lease could not be released; it expires by itself')
      }
    },
  }
}

/**
 * How long a lease is certainly held: the failover time from before its last write.
 *
 * @param over aborted when the time is over, or the lease is lost
 */
function createValidity(
  { clock, logger }: HeldLeaseDependencies,
  { failoverMs, takenMs, lease }: HeldLeaseOptions,
  over: AbortController,
) {
  let renewedMs = takenMs
  let isLost = false
  let cancel: (() => void) | undefined
  const leftMs = () => failoverMs - (clock.monotonicMs() - renewedMs)

  function isHeld(): boolean {
    if (!isLost && leftMs() > 0) return true
    if (!over.signal.aborted) {
      const { shardId } = lease
      logger.warn({ shardId }, 'the lease of a shard is lost; this process no longer reads it')
    }
    over.abort()
    return false
  }

  function watch(): void {
    if (isHeld()) cancel = clock.after(leftMs(), watch)
  }
  watch()
  return {
    isHeld,
    leftMs,
    begin: (startedMs: number) => void (renewedMs = startedMs),
    lose() {
      isLost = true
      isHeld()
    },
    close: () => cancel?.(),
  }
}
