import { createBoundedMap } from '../base/bounded-map.ts'
import type { Clock } from '../base/clock.ts'

/** Answers that are good for a while: one question under way for a key, failures are not kept. */
interface KeptAnswers<Answer> {
  get(key: string, ask: () => Promise<Answer>): Promise<Answer>
}

/** @param options `answersMax` answers are kept, the oldest goes first; each for `keptMs` */
export function createKeptAnswers<Answer>(
  { clock }: { readonly clock: Clock },
  { answersMax, keptMs }: { readonly answersMax: number; readonly keptMs: number },
): KeptAnswers<Answer> {
  const kept = createBoundedMap<
    string,
    { readonly answer: Promise<Answer>; readonly untilMs: number }
  >(answersMax)

  return {
    get(key, ask) {
      const nowMs = clock.monotonicMs()
      const known = kept.get(key)
      if (known !== undefined && nowMs < known.untilMs) return known.answer
      const entry = { answer: ask(), untilMs: nowMs + keptMs }
      kept.set(key, entry)
      entry.answer.catch(() => {
        if (kept.get(key) === entry) kept.delete(key)
      })
      return entry.answer
    },
  }
}
