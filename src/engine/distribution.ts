import type { EngineReport } from './engine-report.ts'
import type { Message } from '../message.ts'

/**
 * Hands republished messages to their subscribers. A subscriber may be slow, so the messages under
 * way are bounded: beyond the bound, `handOn` makes its caller wait for room.
 */
interface Distribution {
  /**
   * Begins to hand these messages to their subscribers, in order.
   *
   * @returns undefined, or a promise that resolves when what must last of them is on disk, and
   *   there is room for more
   * @throws what the disk refuses (rejects)
   */
  readonly handOn: (messages: readonly Message[]) => Promise<void> | undefined
}

/**
 * Hands a message to its subscribers; resolves when they have it.
 *
 * @param kept called once it is on disk for sessions that may outlive the process, at once if there
 *   are none; or with the fault that keeps it from the disk
 */
export type Distribute = (message: Message, kept: (fault?: unknown) => void) => Promise<void>

interface DistributionDependencies {
  readonly distribute: Distribute
  readonly report: Pick<EngineReport, 'notDistributed'>
}

/** Messages that subscribers have not taken yet. */
const underwayMax = 1_000

export function createDistribution({ distribute, report }: DistributionDependencies): Distribution {
  let underway = 0
  /** At most one for each unanswered message, which the ingress bounds. */
  let held: (() => void)[] = []

  const handOne = (message: Message): Promise<void> => {
    underway += 1
    return new Promise((resolve, reject) => {
      const kept = (fault?: unknown) => (fault === undefined ? resolve() : reject(fault))
      distribute(message, kept)
        .catch((thrown: unknown) => report.notDistributed(message, thrown))
        .finally(() => {
          underway -= 1
          if (underway < underwayMax) releaseAll()
          resolve()
        })
    })
  }

  const releaseAll = (): void => {
    const released = held
    held = []
    for (const release of released) release()
  }

  const room = (): Promise<void> | undefined =>
    underway < underwayMax ? undefined : new Promise((resolve) => held.push(resolve))

  return {
    handOn(messages) {
      // Nobody can subscribe to Basic Ingest.
      const wanted = messages.filter(({ basicIngestRule }) => basicIngestRule === undefined)
      if (wanted.length === 0) return room()
      const kept = wanted.map(handOne)
      return Promise.all([...kept, room()]).then(() => undefined)
    },
  }
}
