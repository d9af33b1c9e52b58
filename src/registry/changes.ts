import { SluiceError } from '../base/errors.ts'
import { createKeyedQueue } from '../base/keyed-queue.ts'

/** Runs the changes of one kind of resource one after the other. */
interface Changes {
  /**
   * @throws SluiceError ThrottlingException (rejects): too many wait; or what the change rejects
   *   with
   */
  run<Result>(change: () => Promise<Result>): Promise<Result>
}

/** Each waits for the disk, some milliseconds. */
const changesMax = 1_000
/** The queue has keys, of which one is used. */
const line = 'all'

export function createChanges(): Changes {
  const queue = createKeyedQueue()
  return {
    run(change) {
      if (queue.length(line) < changesMax) return queue.run(line, change)
      const message = `${changesMax} changes of the registry are waiting: try again later`
      return Promise.reject(new SluiceError('ThrottlingException', message))
    },
  }
}
