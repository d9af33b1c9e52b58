/**
 * The answers of one client, in the order of its PUBLISHes, [MQTT-4.6.0-2] and [MQTT-4.6.0-3],
 * whatever the order in which their outcomes come. Bounded by the gate, which passes no more
 * PUBLISHes on than `unfinishedMax`.
 */
export interface AnswerQueue {
  /**
   * Takes the next place.
   *
   * @param outcome settles once the message is durable, or rejects if it cannot be
   * @param answer called exactly once, after all earlier ones, with what `outcome` rejected with;
   *   when it returns `pending`, later ones wait for `answered()`
   */
  add(outcome: Promise<void>, answer: Answer): void
  /** The answer that returned `pending` has gone out. */
  answered(): void
}

export type Answer = (fault: { readonly cause: unknown } | undefined) => 'done' | 'pending'

interface Place {
  settled: boolean
  fault: { readonly cause: unknown } | undefined
  readonly answer: Answer
}

export function createAnswerQueue(): AnswerQueue {
  const places: Place[] = []
  let pending = false

  function advance(): void {
    for (let first = places[0]; first?.settled && !pending; first = places[0]) {
      places.shift()
      pending = first.answer(first.fault) === 'pending'
    }
  }

  return {
    add(outcome, answer) {
      const place: Place = { settled: false, fault: undefined, answer }
      places.push(place)
      const settle = (fault: Place['fault']) => {
        place.settled = true
        place.fault = fault
        if (places[0] === place) advance()
      }
      outcome.then(
        () => settle(undefined),
        (cause: unknown) => settle({ cause }),
      )
    },
    answered() {
      pending = false
      advance()
    },
  }
}
