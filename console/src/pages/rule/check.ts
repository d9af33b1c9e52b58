import { useEffect, useMemo, useState } from 'preact/hooks'
import { UnreachableError, call } from '../../api/engine.ts'
import type { CodeFault } from '../../code/code-editor.tsx'
import type { RulePayload } from './rule-payload.ts'

/** A fault that the engine found in a rule. */
export interface RuleFault extends CodeFault {
  /** `sql`, `actions[0].kinesis.streamName`; absent for the whole rule. */
  readonly field?: string | undefined
}

/** By their fields; a list stays the same object until the next check. */
export type FaultsByField = ReadonlyMap<string, readonly RuleFault[]>

export interface Check {
  readonly faults: readonly RuleFault[]
  readonly byField: FaultsByField
  readonly warnings: readonly string[]
  /** Why there was no check. */
  readonly error: unknown
}

interface Answer {
  readonly faults: readonly RuleFault[]
  readonly warnings: readonly string[]
}

/** After the last key, so that each word is not checked. */
const restMs = 250
const againMs = 2_000
const unchecked: Answer = { faults: [], warnings: [] }

/** What the engine says of a rule as it is typed. The last answer stays until the next one. */
export function useCheck(payload: RulePayload | undefined): Check {
  const [answer, setAnswer] = useState(unchecked)
  const [error, setError] = useState<unknown>()
  const text = payload && JSON.stringify(payload)
  useEffect(() => {
    if (text === undefined) return undefined
    const ending = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const check = async () => {
      const body: unknown = JSON.parse(text)
      const { signal } = ending
      try {
        setAnswer(await call<Answer>({ method: 'POST', path: '/v1/check', body, signal }))
        setError(undefined)
      } catch (thrown) {
        if (signal.aborted) return
        setError(thrown)
        // The engine may only be away.
        if (thrown instanceof UnreachableError) timer = setTimeout(() => void check(), againMs)
      }
    }
    timer = setTimeout(() => void check(), restMs)
    return () => {
      clearTimeout(timer)
      ending.abort()
    }
  }, [text])
  return useMemo(() => {
    const faults = answer.faults.map(inWords)
    const byField = new Map<string, RuleFault[]>()
    for (const fault of faults) {
      const { field = '' } = fault
      byField.set(field, [...(byField.get(field) ?? []), fault])
    }
    return { faults, byField, warnings: answer.warnings, error }
  }, [answer, error])
}

/** Without the field and the place, which the editor shows by where it stands. */
function inWords(fault: RuleFault): RuleFault {
  const { message, field = '' } = fault
  const [line = ''] = message.split('\n', 1)
  const own = line.startsWith(field) ? line.slice(field.length).replace(/^:? /, '') : line
  return { ...fault, message: own.replace(/ \(line \d+, column \d+\)$/, '') }
}

/** The faults of a member and of all that stands in it. */
export function faultsBelow(faults: readonly RuleFault[], path: string): readonly RuleFault[] {
  return faults.filter(({ field = '' }) => {
    const next = field.charAt(path.length)
    return field.startsWith(path) && (next === '' || next === '.' || next === '[')
  })
}
