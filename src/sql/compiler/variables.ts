import type { Assignment } from '../ast.ts'
import type { Dialect } from '../dialect.ts'
import { writeJson } from '../json-writer.ts'
import type { Value } from '../values.ts'
import type { Evaluate, Frame, Surroundings, Variables } from './frame.ts'
import { compileWithQueries } from './selection.ts'

/** UTF-8 bytes of a variable's value as compact JSON, and of all values of a statement together. */
const valueBytesMax = 128 * 1024

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
  const evaluates = assignments.map(({ value }) => compileWithQueries(value, around))
  return () => createVariables(evaluates, around.dialect)
}

function createVariables(evaluates: readonly Evaluate[], dialect: Dialect): Variables {
  const values: Value[] = []
  let isEvaluated = false

  function evaluateAll(frame: Frame): void {
    isEvaluated = true // before the loop: an assignment reads the variables set before it
    let outermost = frame
    while (outermost.outer !== undefined) outermost = outermost.outer
    let bytesLeft = valueBytesMax
    for (const evaluate of evaluates) {
      const value = evaluate(outermost)
      const bytes = bytesOf(value, dialect)
      values.push(bytes <= bytesLeft ? value : undefined)
      if (bytes <= bytesLeft) bytesLeft -= bytes
    }
  }
  return {
    valueAt(index, frame) {
      if (!isEvaluated) evaluateAll(frame)
      return values[index]
    },
  }
}

function bytesOf(value: Value, dialect: Dialect): number {
  return Buffer.byteLength(writeJson(value, dialect))
}
