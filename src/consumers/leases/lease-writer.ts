import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import type { WarningLog } from '../../telemetry/limited-log.ts'
import { createRetryBackoff, isRetryable } from '../retry-backoff.ts'
import { readerOf } from './lease.ts'
import type { Lease, LeaseTable } from './lease.ts'

/** Writes a lease whose shard this process reads, one write at a time. */
interface LeaseWriter {
  /**
   * @param change makes the next lease from the stored one
   * @returns false when the lease belongs to another process by now
   * @throws errors of the service (rejects): the write may have been made
   */
  readonly write: (change: (lease: Lease) => Lease) => Promise<boolean>
  /**
   * Retries a write until it is made.
   *
   * @param mayRetry asked after a failure that may pass
   * @throws LeaseLost, and errors of the service that do not pass (rejects)
   */
  readonly writeUntilMade: (
    change: (lease: Lease) => Lease,
    mayRetry: () => boolean,
  ) => Promise<void>
}

interface LeaseWriterOptions {
  readonly workerId: string
  /** As it is stored. */
  readonly lease: Lease
  /** Called after each write, with the monotonic time before it. */
  readonly onWritten: (lease: Lease, startedMs: number) => void
  /** Called when the lease belongs to another process by now. */
  readonly onLost: () => void
}

/** The lease belongs to another process by now, or may. */
export class LeaseLost extends Error {
  constructor(shardId: string, cause?: unknown) {
    super(`the lease of ${shardId} is lost`, { cause })
    this.name = 'LeaseLost'
  }
}

/** Whether a call of a store may succeed later: an error with a code of ours does not pass. */
export const isPassing = (thrown: unknown) =>
  !(thrown instanceof SluiceError) && isRetryable(thrown)

/** Writes that came after all and takeovers are told apart by reading; so often in one write. */
const readsMax = 3
const retryDelaysMs = { firstDelayMs: 100, delayMsMax: 1_000 }

export function createLeaseWriter(
  dependencies: {
    readonly table: LeaseTable
    readonly clock: Clock
    readonly logger: WarningLog
  },
  options: LeaseWriterOptions,
): LeaseWriter {
  const { table, clock } = dependencies
  const { workerId, onWritten, onLost } = options
  const { shardId } = options.lease
  let current = options.lease
  let isLost = false
  /** Each write names the lease that the last one has left. */
  let lastWrite: Promise<unknown> = Promise.resolve()

  async function writeNow(change: (lease: Lease) => Lease): Promise<boolean> {
    for (let reads = 0; reads <= readsMax; reads++) {
      const startedMs = clock.monotonicMs()
      const after = change(current)
      if (await table.replace(current, after)) {
        current = after
        onWritten(after, startedMs)
        return true
      }
      const found = await table.get(shardId)
      if (!found || readerOf(found) !== workerId) break
      // An earlier write came after all, or another process has asked for the shard.
      current = found
    }
    isLost = true
    onLost()
    return false
  }

  function write(change: (lease: Lease) => Lease): Promise<boolean> {
    const written = lastWrite.then(() => !isLost && writeNow(change))
    lastWrite = written.catch(() => undefined)
    return written
  }

  return {
    write,
    async writeUntilMade(change, mayRetry) {
      const backoff = createRetryBackoff(dependencies, {
        ...retryDelaysMs,
        text: 'a lease cannot be written now; it is tried again',
        fields: { shardId },
      })
      for (;;) {
        try {
          if (await write(change)) return
          throw new LeaseLost(shardId)
        } catch (thrown) {
          if (thrown instanceof LeaseLost || !isPassing(thrown)) throw thrown
          if (!mayRetry()) throw new LeaseLost(shardId, thrown)
          await backoff.afterFailure(thrown, new AbortController().signal)
        }
      }
    },
  }
}
