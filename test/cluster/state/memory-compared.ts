import type { Clock } from '../../../src/base/clock.ts'
import type { ComparedValues } from '../../../src/cluster/state/compared-values.ts'
import { AnswerLost, stateUnavailable } from '../../../src/cluster/state/shared-state.ts'

interface Faults {
  /** The next writes are made, and their answers do not come. */
  answersLost: number
  /** The next writes do not arrive, and nobody tells. */
  requestsLost: number
  /** Whether the store cannot be reached. */
  isCut: boolean
}

/** A store in memory that several nodes share; each `connect` is the way of one node. */
export function createMemoryCompared(clock: Clock) {
  const values = new Map<string, { value: Buffer; revision: number; removedUntilMs?: number }>()
  let revision = 0
  const find = (key: string) => {
    const found = values.get(key)
    return found && clock.wallMs() < (found.removedUntilMs ?? Infinity) ? found : undefined
  }

  function connect(): ComparedValues & { readonly faults: Faults } {
    const faults: Faults = { answersLost: 0, requestsLost: 0, isCut: false }
    async function answered<Result>(ask: () => Result): Promise<Result> {
      // Another node may come in between.
      await new Promise((resolve) => setImmediate(resolve))
      if (faults.isCut) throw stateUnavailable('it was cut off')
      return ask()
    }
    return {
      faults,
      get: (key) => answered(() => find(key)),
      put: (key, value, before, removedForSeconds) =>
        answered(() => {
          if (faults.requestsLost > 0) {
            faults.requestsLost -= 1
            throw new AnswerLost('the request was lost')
          }
          if ((find(key)?.revision ?? 0) !== before) return undefined
          revision += 1
          const forMs = (removedForSeconds ?? 0) * 1_000
          const removed = forMs > 0 && { removedUntilMs: clock.wallMs() + forMs }
          values.set(key, { value: Buffer.from(value), revision, ...removed })
          if (faults.answersLost === 0) return revision
          faults.answersLost -= 1
          throw new AnswerLost('the answer was lost')
        }),
      keys: (prefix) =>
        answered(() =>
          [...values.keys()].filter(
            (key) =>
              (prefix === undefined || key.startsWith(`${prefix}.`)) &&
              find(key)?.removedUntilMs === undefined,
          ),
        ),
      count: () => answered(() => values.size),
    }
  }
  return { connect, values }
}
