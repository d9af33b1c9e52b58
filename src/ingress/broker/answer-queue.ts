/**
 * Sends the answers of one client in the order of its PUBLISHes, [MQTT-4.6.0-2] and [MQTT-4.6.0-3],
 * in whatever order their outcomes are known. The gate bounds it: no more than `unfinishedMax`
 * PUBLISHes pass.
 */
export interface AnswerQueue {
  /**
   * Adds an answer at the end.
   *
   * @param outcome settles once the message is durable, or rejects if it cannot be
   * @param answer called exactly once, after all earlier ones, with what `outcome` rejected with;
   *   when it returns `pending`, later ones wait for `answered()`
   */
  add(outcome: Promise<void>, answer: Answer): void
  /** The answer that returned `pending` has gone out. */
  answered(): void
}

type Answer = (fault: { readonly cause: unknown } | undefined) => 'done' | 'pending'

/**
 * Answers in a row that wait for the same promise: messages that go to disk together have the same.
 */
interface Run {
  readonly outcome: Promise<void>
  readonly answers: Answer[]
  settled: boolean
  fault: { readonly cause: unknown } | undefined
}

export function createAnswerQueue(): AnswerQueue {
  const runs: Run[] = []
  let pending = false

  function advance(): void {
    for (let first = runs[0]; first?.settled && !pending; first = runs[0]) {
      const answer = first.answers.shift()
      if (answer === undefined) runs.shift()
      else pending = answer(first.fault) === 'pending'
    }
  }

  function newRun(outcome: Promise<void>): Run {
    const run: Run = { outcome, answers: [], settled: false, fault: undefined }
    const settle = (fault: Run['fault']) => {
      run.settled = true
      run.fault = fault
      if (runs[0] === run) advance()
    }
    outcome.then(
      () => settle(undefined),
      (cause: unknown) => settle({ cause }),
    )
    return run
  }

  return {
    add(outcome, answer) {
      const last = runs.at(-1)
      // A settled run may be about to go, and its promise does not settle again.
      const run = last?.outcome === outcome && !last.settled ? last : newRun(outcome)
      run.answers.push(answer)
      if (run !== last) runs.push(run)
    },
    answered() {
      pending = false
      advance()
    },
  }
}
