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
  const kept = new Map<string, { readonly answer: Promise<Answer>; readonly untilMs: number }>()

  return {
    get(key, ask) {
      const nowMs = clock.monotonicMs()
      const known = kept.get(key)
      if (known !== undefined && nowMs < known.untilMs) return known.answer
      const entry = { answer: ask(), untilMs: nowMs + keptMs }
      kept.delete(key)
      kept.set(key, entry)
      entry.answer.catch(() => {
        if (kept.get(key) === entry) kept.delete(key)
      })
      const [oldest] = kept.keys()
      if (kept.size > answersMax && oldest !== undefined) kept.delete(oldest)
      return entry.answer
    },
  }
}
