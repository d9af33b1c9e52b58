import { createBoundedMap } from '../base/bounded-map.ts'
import type { Clock } from '../base/clock.ts'

/**
 * Answers that stay valid for a while. At most one question per key is in flight, and a question
 * that failed is asked again.
 */
interface AnswerCache<Answer> {
  get(key: string, ask: () => Promise<Answer>): Promise<Answer>
}

/**
 * @param options at most `answersMax` answers are held, the oldest makes room; each for `validMs`
 */
export function createAnswerCache<Answer>(
  { clock }: { readonly clock: Clock },
  { answersMax, validMs }: { readonly answersMax: number; readonly validMs: number },
): AnswerCache<Answer> {
  const answers = createBoundedMap<
    string,
    { readonly answer: Promise<Answer>; readonly untilMs: number }
  >(answersMax)

  return {
    get(key, ask) {
      const nowMs = clock.monotonicMs()
      const known = answers.get(key)
      if (known !== undefined && nowMs < known.untilMs) return known.answer
      const entry = { answer: ask(), untilMs: nowMs + validMs }
      answers.set(key, entry)
      entry.answer.catch(() => {
        if (answers.get(key) === entry) answers.delete(key)
      })
      return entry.answer
    },
  }
}
