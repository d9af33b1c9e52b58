import type { Case, Expression, Logical } from '../parser/ast.ts'
import { placeOf } from '../externals/frame.ts'
import type { Evaluate, Surroundings } from '../externals/frame.ts'
import { equals } from '../values/arithmetic.ts'
import { toBoolean } from '../values/conversions.ts'

type Compile = (part: Expression) => Evaluate

/**
 * AND and OR. Operands are evaluated from the left until one decides (`true OR x`, `false AND x`).
 * An operand that is not a Boolean makes the result Undefined.
 */
export function compileLogical({ operator, operands }: Logical, compile: Compile): Evaluate {
  const evaluates = operands.map(compile)
  const deciding = operator === 'OR'
  return (frame) => {
    for (const evaluate of evaluates) {
      const value = toBoolean(evaluate(frame))
      if (value === undefined || value === deciding) return value
    }
    return !deciding
  }
}

/**
 * CASE: the result of the first WHEN that equals the subject; Undefined for an Undefined subject.
 */
export function compileCase(
  { subject, branches, otherwise, at }: Case,
  around: Surroundings,
  compile: Compile,
): Evaluate {
  const evaluateSubject = compile(subject)
  const compiled = branches.map(({ when, result }) => ({
    when: compile(when),
    result: compile(result),
  }))
  const evaluateOtherwise = otherwise === undefined ? undefined : compile(otherwise)
  const place = placeOf(around, 'CASE', at)
  return (frame) => {
    const value = evaluateSubject(frame)
    if (value === undefined) return undefined
    for (const { when, result } of compiled) {
      const other = when(frame)
      frame.state.place = place
      if (equals(value, other, frame.state) === true) return result(frame)
    }
    return evaluateOtherwise?.(frame)
  }
}
