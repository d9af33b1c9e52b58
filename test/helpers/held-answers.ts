import type { CallExternal, ExternalRequest } from '../../src/sql/sql.ts'
import type { Value } from '../../src/sql/values/values.ts'

/** External functions that answer when a test says so. */
export interface HeldAnswers {
  readonly call: CallExternal
  /** Those that wait for an answer, in the order of their calls. */
  readonly waiting: readonly ExternalRequest[]
  /** Ends the wait of the call at this place of `waiting`, and gives it time to take effect. */
  answer(index: number, value: Value): Promise<void>
  fail(index: number, reason: string): Promise<void>
}

interface Held {
  readonly request: ExternalRequest
  readonly resolve: (value: Value) => void
  readonly reject: (error: Error) => void
}

export function createHeldAnswers(): HeldAnswers {
  const held: Held[] = []

  function take(index: number): Held {
    const [one] = held.splice(index, 1)
    if (one === undefined) throw new Error(`no call waits at ${index}`)
    return one
  }

  return {
    call: (request) =>
      new Promise((resolve, reject) => {
        held.push({ request, resolve, reject })
      }),
    get waiting() {
      return held.map(({ request }) => request)
    },
    async answer(index, value) {
      take(index).resolve(value)
      await nextTurn()
    },
    async fail(index, reason) {
      take(index).reject(new Error(reason))
      await nextTurn()
    },
  }
}

/** After all that promises have set in motion. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
