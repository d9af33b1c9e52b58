import { useCallback, useEffect, useState } from 'preact/hooks'
import { evaluate } from '../../api/evaluate.ts'
import type { Evaluation, MessageRequest, TriedRule } from '../../api/evaluate.ts'

/** After the last key, so that each word is not tried. */
const restMs = 250

interface Tried {
  readonly evaluation: Evaluation | undefined
  readonly error: unknown
  /** Whether the answer is to an earlier question. */
  readonly isOld: boolean
  /** Tries at once. */
  readonly tryNow: () => void
}

/**
 * Tries a message when nobody has typed for a moment; the last answer stays until the next.
 *
 * @param isAutomatic false: only when `tryNow` is called
 */
export function useEvaluation(
  rule: TriedRule | undefined,
  message: MessageRequest | undefined,
  isAutomatic: boolean,
): Tried {
  const question =
    rule === undefined || message === undefined ? undefined : JSON.stringify({ rule, message })
  const [state, setState] = useState<{
    readonly question?: string | undefined
    readonly evaluation?: Evaluation | undefined
    readonly error?: unknown
  }>({})
  const [wanted, setWanted] = useState<string>()
  useEffect(() => {
    if (!isAutomatic) return undefined
    const timer = setTimeout(() => setWanted(question), restMs)
    return () => clearTimeout(timer)
  }, [question, isAutomatic])
  useEffect(() => {
    if (wanted === undefined) return undefined
    const ending = new AbortController()
    const asked = JSON.parse(wanted) as { rule: TriedRule; message: MessageRequest }
    evaluate(asked.rule, asked.message, { signal: ending.signal }).then(
      (evaluation) => setState({ question: wanted, evaluation }),
      (error: unknown) => {
        if (!ending.signal.aborted) setState({ question: wanted, error })
      },
    )
    return () => ending.abort()
  }, [wanted])
  const tryNow = useCallback(() => setWanted(question), [question])
  const { evaluation, error } = state
  return { evaluation, error, isOld: state.question !== question, tryNow }
}
