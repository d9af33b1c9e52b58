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
   * @param isAwaited whether the client waits for the answer, so that it has to learn of a failure
   */
  add(outcome: Promise<void>, answer: Answer, isAwaited: boolean): void
  /** The answer that returned `pending` has gone out. */
  answered(): void
  /**
   * Called when a message that the client waits for has failed while earlier ones have no outcome.
   *
   * @returns whether it has ended the connection: answers come in any order from then on, because
   *   none goes out
   */
  onFailure: ((cause: unknown) => boolean) | undefined
}

type Answer = (fault: { readonly cause: unknown } | undefined) => 'done' | 'pending'

/**
 * Answers in a row that wait for the same promise: messages that go to disk together have the same.
 */
interface Run {
  readonly outcome: Promise<void>
  readonly answers: Answer[]
  isAwaited: boolean
  settled: boolean
  fault: { readonly cause: unknown } | undefined
}

export function createAnswerQueue(): AnswerQueue {
  const runs: Run[] = []
  let pending = false
  let isBroken = false

  function advance(): void {
    for (let first = runs[0]; first?.settled && !pending; first = runs[0]) {
      const answer = first.answers.shift()
      if (answer === undefined) runs.shift()
      else pending = answer(first.fault) === 'pending'
    }
  }

  function breakOff(cause: unknown): void {
    isBroken = queue.onFailure?.(cause) === true
    if (!isBroken) return
    for (const run of runs.splice(0)) if (run.settled) answerAll(run)
  }

  function settle(run: Run, fault: Run['fault']): void {
    run.settled = true
    run.fault = fault
    if (isBroken) answerAll(run)
    else if (runs[0] === run) advance()
    else if (fault && run.isAwaited && runs[0]?.settled === false) breakOff(fault.cause)
  }

  function newRun(outcome: Promise<void>): Run {
    const run: Run = { outcome, answers: [], isAwaited: false, settled: false, fault: undefined }
    outcome.then(
      () => settle(run, undefined),
      (cause: unknown) => settle(run, { cause }),
    )
    return run
  }

  const queue: AnswerQueue = {
    onFailure: undefined,
    add(outcome, answer, isAwaited) {
      const last = runs.at(-1)
      // A settled run may be about to go, and its promise does not settle again.
      const run = last?.outcome === outcome && !last.settled ? last : newRun(outcome)
      run.answers.push(answer)
      if (isAwaited) run.isAwaited = true
      if (run !== last && !isBroken) runs.push(run)
    },
    answered() {
      pending = false
      advance()
    },
  }
  return queue
}

function answerAll({ answers, fault }: Run): void {
  for (const answer of answers.splice(0)) answer(fault)
}
