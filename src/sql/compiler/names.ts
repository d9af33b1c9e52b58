/** Attributes, members and `*`: where names find their values. */
import type { Exists, Subselect } from '../parser/ast.ts'
import { isObject, memberOf } from '../values/values.ts'
import type { Value } from '../values/values.ts'
import type { Evaluate, Frame, Surroundings } from '../externals/frame.ts'

/** Compiles the expressions that hold a query. */
export type QueryCompiler = (expression: Subselect | Exists, around: Surroundings) => Evaluate

/**
 * A path of attributes. In a nested query its first name is an alias of that query or of one around
 * it, or else a member of the element: the payload's own names are hidden there.
 */
export function compilePath(names: readonly string[], around: Surroundings): Evaluate {
  const [first = '', ...rest] = names
  if (around.aliases.length === 0) return compileMember(payloadOf, names)
  const level = around.aliases.lastIndexOf(first)
  if (level < 0) return compileMember(elementOf, names)
  return compileMember(elementAround(around.aliases.length - 1 - level), rest)
}

/** The whole payload (Undefined when it is binary), in a nested query the whole element. */
export function compileStar(around: Surroundings): Evaluate {
  return around.aliases.length === 0 ? payloadOf : elementOf
}

/** `.a.b` of a value: Undefined from the first member on that is not there. */
export function compileMember(evaluate: Evaluate, names: readonly string[]): Evaluate {
  const [first, second] = names
  if (first === undefined) return evaluate
  if (second === undefined) return (frame) => memberOf(evaluate(frame), first)
  if (names.length === 2) return (frame) => memberOf(memberOf(evaluate(frame), first), second)
  return (frame) => {
    let value: Value = evaluate(frame)
    for (const name of names) {
      if (!isObject(value)) return undefined
      value = value.get(name)
    }
    return value
  }
}

function payloadOf(frame: Frame): Value {
  return frame.document.payload()
}

function elementOf(frame: Frame): Value {
  return frame.element
}

/** The element of the query that is `distance` queries further out. */
function elementAround(distance: number): Evaluate {
  if (distance === 0) return elementOf
  return (frame) => {
    let current: Frame | undefined = frame
    for (let count = 0; count < distance; count++) current = current?.outer
    return current?.element
  }
}
