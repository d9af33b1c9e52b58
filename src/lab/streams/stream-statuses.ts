import type { Clock } from '../../base/clock.ts'
import { ServiceError } from '../wire/service-error.ts'
import { parseStreamArn } from './namespace.ts'
import type { Stream, StreamStatus } from './stream.ts'

/** How long streams and consumers stay in a transient status; 0 skips the status. */
export interface StatusDurations {
  readonly creatingMs: number
  readonly updatingMs: number
  readonly deletingMs: number
  /** The duration of CREATING and DELETING of a consumer. */
  readonly consumerMs: number
}

/**
 * Streams are created and deleted at once, because the waiters of AWS's clients poll only every 10
 * seconds. The clients have no waiters for the other statuses.
 */
export const statusDurationsDefault: StatusDurations = Object.freeze({
  creatingMs: 0,
  updatingMs: 50,
  deletingMs: 0,
  consumerMs: 50,
})

/** @param durationMs the duration of every transient status; undefined gives the defaults */
export const statusDurationsOf = (durationMs: number | undefined): StatusDurations =>
  durationMs === undefined
    ? statusDurationsDefault
    : {
        creatingMs: durationMs,
        updatingMs: durationMs,
        deletingMs: durationMs,
        consumerMs: durationMs,
      }

/**
 * Moves streams from one status to the next: each stream has at most one pending transition.
 *
 * @param streams by ARN
 */
export function createStreamStatuses(clock: Clock, streams: ReadonlyMap<string, Stream>) {
  const cancels = new Set<() => void>()
  function later(delayMs: number, callback: () => void): void {
    if (delayMs === 0) return callback()
    const cancel = clock.after(delayMs, () => {
      cancels.delete(cancel)
      callback()
    })
    cancels.add(cancel)
  }
  return {
    later,
    refuseUnlessActive({ name, arn, status }: Stream): void {
      if (status === 'ACTIVE') return
      throw new ServiceError(
        'ResourceInUseException',
        `Stream ${name} under account ${parseStreamArn(arn)?.accountId} not ACTIVE, instead in state ${status}.`,
      )
    },
    /** Sets a status; after `durationMs`, `apply` runs if the stream still exists. */
    enter(stream: Stream, status: StreamStatus, durationMs: number, apply: () => void): void {
      stream.status = status
      later(durationMs, () => {
        if (streams.get(stream.arn) === stream) apply()
      })
    },
    close(): void {
      for (const cancel of cancels) cancel()
      cancels.clear()
    },
  }
}
