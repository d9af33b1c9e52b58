import { useCallback, useEffect, useState } from 'preact/hooks'
import { UnreachableError } from '../../api/engine.ts'
import { evaluate } from '../../api/evaluate.ts'
import type { Evaluation, MessageRequest, TriedRule } from '../../api/evaluate.ts'

/** After the last key, so that each word is not tried. */
const restMs = 250
const againMs = 2_000

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
  /** What is to be tried. Another object tries the same again. */
  const [wanted, setWanted] = useState<{ readonly question: string | undefined }>()
  useEffect(() => {
    if (!isAutomatic) return undefined
    const timer = setTimeout(
      () => setWanted((before) => (before?.question === question ? before : { question })),
      restMs,
    )
    return () => clearTimeout(timer)
  }, [question, isAutomatic])
  useEffect(() => {
    if (wanted?.question === undefined) return undefined
    const ending = new AbortController()
    const asked = JSON.parse(wanted.question) as { rule: TriedRule; message: MessageRequest }
    let timer: ReturnType<typeof setTimeout> | undefined
    evaluate(asked.rule, asked.message, { signal: ending.signal }).then(
      (evaluation) => setState({ question: wanted.question, evaluation }),
      (error: unknown) => {
        if (ending.signal.aborted) return
        setState({ question: wanted.question, error })
        // The engine may only be away.
        if (error instanceof UnreachableError) {
          timer = setTimeout(() => setWanted({ ...wanted }), againMs)
        }
      },
    )
    return () => {
      clearTimeout(timer)
      ending.abort()
    }
  }, [wanted])
  const tryNow = useCallback(() => setWanted({ question }), [question])
  const { evaluation, error } = state
  return { evaluation, error, isOld: state.question !== question, tryNow }
}
