import type { Assignment } from '../parser/ast.ts'
import type { Dialect } from '../values/dialect.ts'
import { outcomeOf, suspend, unlessSuspended } from './external-calls.ts'
import type { Outcome } from './external-calls.ts'
import { writeJson } from '../values/json-writer.ts'
import type { Value } from '../values/values.ts'
import { spend } from '../values/work.ts'
import type { Work, WorkPlace } from '../values/work.ts'
import { placeOf } from '../externals/frame.ts'
import type { Evaluate, Frame, Surroundings, Variables } from '../externals/frame.ts'
import { compileWithQueries } from './selection.ts'

/** UTF-8 bytes of all variables of a statement together, as compact JSON. */
const valueBytesMax = 128 * 1024

/** One step pays for writing 4 characters of a text that is measured. */
const writtenAStepLog2 = 2

/** The variables of a statement without SET. */
export const noVariables: Variables = { valueAt: () => undefined }

/**
 * Compiles the assignments of SET. Each call of the result makes the variables of one scope. A
 * value that exceeds the limit, alone or together with the values before it, is Undefined.
 *
 * @returns undefined for a statement without SET
 */
export function compileVariables(
  assignments: readonly Assignment[],
  around: Surroundings,
): (() => Variables) | undefined {
  if (assignments.length === 0) return undefined
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
  const outcomes: Outcome[] = []
  let bytesLeft = valueBytesMax
  /** The variables up to this index have started their calls in this round and wait for results. */
  let waiting: { readonly round: number; readonly index: number } | undefined

  /**
   * Evaluates the variables up to the one that is read; later ones may never be needed. Variables
   * behind one that waits for a result only start their calls: their values are stored in a later
   * round, in the order of SET.
   */
  function evaluateTo(index: number, frame: Frame): void {
    const round = frame.state.external?.round ?? 0
    if (waiting?.round === round && index <= waiting.index) suspend()
    let outermost = frame
    while (outermost.outer !== undefined) outermost = outermost.outer
    let isWaiting = false
    for (const { evaluate, place } of assignments.slice(outcomes.length, index + 1)) {
      const outcome = unlessSuspended(() => outcomeOf(evaluate, outermost))
      isWaiting ||= outcome === undefined
      if (isWaiting || outcome === undefined) continue
      outermost.state.place = place
      const bytes =
        'failed' in outcome ? 0 : bytesOf(outcome.value, dialect, bytesLeft, frame.state)
      outcomes.push(bytes === undefined ? { value: undefined } : outcome)
      bytesLeft -= bytes ?? 0
    }
    if (!isWaiting) return
    waiting = { round, index }
    suspend()
  }
  return {
    valueAt(index, frame) {
      if (index >= outcomes.length) evaluateTo(index, frame)
      const outcome = outcomes[index]
      if (outcome === undefined) return undefined
      if ('failed' in outcome) throw outcome.failed
      return outcome.value
    },
  }
}

/** The bytes of a value as JSON; undefined when there are more than `bytesMax`. */
function bytesOf(value: Value, dialect: Dialect, bytesMax: number, work: Work): number | undefined {
  const text = writeJson(value, dialect, bytesMax)
  spend(work, (text?.length ?? bytesMax) >> writtenAStepLog2)
  const bytes = text === undefined ? Number.POSITIVE_INFINITY : Buffer.byteLength(text)
  return bytes <= bytesMax ? bytes : undefined
}
