import { SluiceError, messageOf } from '../base/errors.ts'
import { createKeyedQueue } from '../base/keyed-queue.ts'
import { LostRace } from './records.ts'
import type { Records } from './records.ts'

/**
 * Runs the changes of one kind of resource one after the other. Each begins with what all nodes
 * wrote before, and is made again when another node was faster.
 */
interface Changes {
  /**
   * @throws SluiceError ThrottlingException (rejects): too many wait;
   *   ConflictingResourceUpdateException: other nodes were faster each time; or what the change
   *   rejects with
   */
  run<Result>(change: () => Promise<Result>): Promise<Result>
}

/** Each waits for the disk, some milliseconds. */
const changesMax = 1_000
/** Attempts of one change, when other nodes change the same resource. */
const attemptsMax = 10
/** The queue has keys, of which one is used. */
const line = 'all'

export function createChanges({ caughtUp }: Pick<Records<unknown>, 'caughtUp'>): Changes {
  const queue = createKeyedQueue()

  async function attempt<Result>(change: () => Promise<Result>, left: number): Promise<Result> {
    await caughtUp()
    try {
      return await change()
    } catch (thrown) {
      if (!(thrown instanceof LostRace)) throw thrown
      if (left > 1) return attempt(change, left - 1)
      const message = `${messageOf(thrown)}: look at it, then try again`
      throw new SluiceError('ConflictingResourceUpdateException', message, { cause: thrown })
    }
  }

  return {
    run(change) {
      if (queue.length(line) < changesMax)
        return queue.run(line, () => attempt(change, attemptsMax))
      const message = `${changesMax} changes of the registry are waiting: try again later`
      return Promise.reject(new SluiceError('ThrottlingException', message))
    },
  }
}
