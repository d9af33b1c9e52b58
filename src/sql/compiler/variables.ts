import type { Assignment } from '../parser/ast.ts'
import type { Dialect } from '../values/dialect.ts'
import { keep, suspend, unlessSuspended } from './external-calls.ts'
import type { Kept } from './external-calls.ts'
import { writeJson } from '../values/json-writer.ts'
import type { Value } from '../values/values.ts'
import { spend } from '../values/work.ts'
import type { Work, WorkPlace } from '../values/work.ts'
import { placeOf } from '../externals/frame.ts'
import type { Evaluate, Frame, Surroundings, Variables } from '../externals/frame.ts'
import { compileWithQueries } from './selection.ts'

/** UTF-8 bytes of a variable's value as compact JSON, and of all values of a statement together. */
const valueBytesMax = 128 * 1024

/** Characters of a text that is written to be measured, for one step: 4. */
const writtenAStepLog2 = 2

/** Variables of a statement without SET. */
const noVariables: Variables = Object.freeze({ valueAt: () => undefined })

/**
 * The variables of a statement: each call of the result makes the store of one scope. A value that
 * is larger than the limit, alone or with those before it, is Undefined.
 */
export function compileVariables(
  assignments: readonly Assignment[],
  around: Surroundings,
): () => Variables {
  if (assignments.length === 0) return () => noVariables
  const compiled = assignments.map(({ name, value, at }) => ({
    evaluate: compileWithQueries(value, around),
    place: placeOf(around, `@${name}`, at),
  }))
  return () => createVariables(compiled, around.dialect)
}

interface CompiledAssignment {
  readonly evaluate: Evaluate
  readonly place: WorkPlace
}

function createVariables(assignments: readonly CompiledAssignment[], dialect: Dialect): Variables {
  const values: Kept[] = []
  let bytesLeft = valueBytesMax
  /** In this round, the variables up to this one have begun their calls and wait for results. */
  let waiting: { readonly round: number; readonly index: number } | undefined

  /**
   * Up to the one that is read: those after it may never be needed. Behind one that waits for a
   * result, the others begin their calls, and what they are counts once it is known.
   */
  function evaluateTo(index: number, frame: Frame): void {
    const round = frame.state.external?.round ?? 0
    if (waiting?.round === round && index <= waiting.index) suspend()
    let outermost = frame
    while (outermost.outer !== undefined) outermost = outermost.outer
    let isWaiting = false
    for (const { evaluate, place } of assignments.slice(values.length, index + 1)) {
      const kept = unlessSuspended(() => keep(evaluate, outermost))
      isWaiting ||= kept === undefined
      if (isWaiting || kept === undefined) continue
      outermost.state.place = place
      const bytes = 'failed' in kept ? 0 : bytesOf(kept.value, dialect, bytesLeft, frame.state)
      values.push(bytes === undefined ? { value: undefined } : kept)
      bytesLeft -= bytes ?? 0
    }
    if (!isWaiting) return
    waiting = { round, index }
    suspend()
  }
  return {
    valueAt(index, frame) {
      if (index >= values.length) evaluateTo(index, frame)
      const kept = values[index]
      if (kept === undefined) return undefined
      if ('failed' in kept) throw kept.failed
      return kept.value
    },
  }
}

/** Undefined when there are more than `bytesMax`: a text has at least as many bytes as units. */
function bytesOf(value: Value, dialect: Dialect, bytesMax: number, work: Work): number | undefined {
  const text = writeJson(value, dialect, bytesMax)
  spend(work, (text?.length ?? bytesMax) >> writtenAStepLog2)
  const bytes = text === undefined ? Number.POSITIVE_INFINITY : Buffer.byteLength(text)
  return bytes <= bytesMax ? bytes : undefined
}
