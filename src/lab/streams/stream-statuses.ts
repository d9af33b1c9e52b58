import type { Clock } from '../../base/clock.ts'
import { ServiceError } from '../wire/service-error.ts'
import type { Stream, StreamStatus } from './stream.ts'

/** How long streams and consumers are in the states between; 0 leaves a state out. */
export interface StatusDurations {
  readonly creatingMs: number
  readonly updatingMs: number
  readonly deletingMs: number
  /** CREATING and DELETING of a consumer. */
  readonly consumerMs: number
}

/**
 * A stream is made and deleted at once, because the waiters of AWS's clients that did not find it
 * so at their first look come again after 10 seconds. No client waits for the others by itself.
 */
export const statusDurationsDefault: StatusDurations = Object.freeze({
  creatingMs: 0,
  updatingMs: 50,
  deletingMs: 0,
  consumerMs: 50,
})

/** @param durationMs of all of them; undefined: the defaults */
export const statusDurationsOf = (durationMs: number | undefined): StatusDurations =>
  durationMs === undefined
    ? statusDurationsDefault
    : {
        creatingMs: durationMs,
        updatingMs: durationMs,
        deletingMs: durationMs,
        consumerMs: durationMs,
      }

/** Leads streams from one status to the next: as many are under way as there are streams. */
export function createStatuses(
  clock: Clock,
  accountId: string,
  streams: ReadonlyMap<string, Stream>,
) {
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
    refuseUnlessActive({ name, status }: Stream): void {
      if (status === 'ACTIVE') return
      throw new ServiceError(
        'ResourceInUseException',
        `Stream ${name} under account ${accountId} not ACTIVE, instead in state ${status}.`,
      )
    },
    /** For so long the stream has the status; then `apply` runs, if the stream is still there. */
    pass(stream: Stream, status: StreamStatus, durationMs: number, apply: () => void): void {
      stream.status = status
      later(durationMs, () => {
        if (streams.get(stream.name) === stream) apply()
      })
    },
    close(): void {
      for (const cancel of cancels) cancel()
      cancels.clear()
    },
  }
}
