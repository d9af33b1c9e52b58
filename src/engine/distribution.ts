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
   * @returns undefined, or a promise that resolves when there is room for more; never rejects
   */
  handOn(messages: readonly Message[]): Promise<void> | undefined
}

interface DistributionDependencies {
  /** Hands a message to its subscribers; resolves when they have it. */
  readonly distribute: (message: Message) => Promise<void>
  readonly report: Pick<EngineReport, 'notDistributed'>
}

/** Messages that subscribers have not taken yet. */
const underwayMax = 1_000

export function createDistribution({ distribute, report }: DistributionDependencies): Distribution {
  let underway = 0
  /** At most one for each unanswered message, which the ingress bounds. */
  let held: (() => void)[] = []

  const handOne = async (message: Message): Promise<void> => {
    // Nobody can subscribe to Basic Ingest.
    if (message.basicIngestRule !== undefined) return
    underway += 1
    try {
      await distribute(message)
    } catch (thrown) {
      report.notDistributed(message, thrown)
    } finally {
      underway -= 1
      if (underway < underwayMax) releaseAll()
    }
  }

  const releaseAll = (): void => {
    const released = held
    held = []
    for (const release of released) release()
  }

  return {
    handOn(messages) {
      for (const message of messages) void handOne(message)
      return underway < underwayMax ? undefined : new Promise((resolve) => held.push(resolve))
    },
  }
}
