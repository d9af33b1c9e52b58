import { everySubject, subjectsOfFilter } from './topic-subjects.ts'

/** Makes a subscription at NATS. @returns ends it */
type Subscribe = (subject: string) => () => void

/** The subscriptions at NATS of the filters that clients and sessions of this node have. */
interface WantedSubjects {
  readonly want: (filter: string) => void
  readonly unwant: (filter: string) => void
}

interface WantedOptions {
  readonly prefix: string
  /**
   * Beyond so many subjects there is one subscription to everything instead, until half of them are
   * left.
   */
  readonly subjectsMax: number
}

/**
 * What comes for several subscriptions comes several times, one right after the other. When
 * everything is wanted, the new subscription is made before the old ones end, so nothing is missed.
 */
export function createWantedSubjects(
  subscribe: Subscribe,
  { prefix, subjectsMax }: WantedOptions,
): WantedSubjects {
  /** Subject -> how many filters want it. */
  const counts = new Map<string, number>()
  const endings = new Map<string, () => void>()
  let endEverything: (() => void) | undefined

  function wantEverything(): void {
    endEverything = subscribe(everySubject(prefix))
    for (const end of endings.values()) end()
    endings.clear()
  }

  function wantEach(): void {
    for (const subject of counts.keys()) endings.set(subject, subscribe(subject))
    endEverything?.()
    endEverything = undefined
  }

  return {
    want(filter) {
      for (const subject of subjectsOfFilter(prefix, filter)) {
        const count = counts.get(subject) ?? 0
        counts.set(subject, count + 1)
        if (count > 0 || endEverything !== undefined) continue
        if (counts.size > subjectsMax) wantEverything()
        else endings.set(subject, subscribe(subject))
      }
    },
    unwant(filter) {
      for (const subject of subjectsOfFilter(prefix, filter)) {
        const count = counts.get(subject) ?? 0
        if (count > 1) {
          counts.set(subject, count - 1)
          continue
        }
        counts.delete(subject)
        endings.get(subject)?.()
        endings.delete(subject)
        if (endEverything !== undefined && counts.size <= subjectsMax / 2) wantEach()
      }
    },
  }
}
