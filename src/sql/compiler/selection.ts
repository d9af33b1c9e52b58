/** SELECT to closures: the object of its items, or its one value. */
import type { Exists, Expression, Item, Query, Selection, Subselect } from '../parser/ast.ts'
import { isArray, isObject } from '../values/values.ts'
import type { Value } from '../values/values.ts'
import { compileExpression } from './expression.ts'
import type { Evaluate, Frame, QueryBudget, Surroundings } from './frame.ts'
import { compileStar } from './names.ts'

/** An expression with everything that it may contain. */
export function compileWithQueries(expression: Expression, around: Surroundings): Evaluate {
  return compileExpression(expression, around, compileQueryExpression)
}

/** The value of a SELECT for one element, or for the message. */
export function compileSelection(selection: Selection, around: Surroundings): Evaluate {
  if (selection.kind === 'value') return compileWithQueries(selection.expression, around)
  const [first] = selection.items
  if (selection.items.length === 1 && first?.kind === 'all') return compileStar(around)
  return compileItems(selection.items, around)
}

/** Of two items with the same name the later one counts; Undefined items are left out. */
export function compileItems(items: readonly Item[], around: Surroundings): Evaluate {
  const writers = items.map((item) => compileItem(item, around))
  return (frame) => {
    const output = new Map<string, Value>()
    for (const write of writers) write(frame, output)
    return output
  }
}

type ItemWriter = (frame: Frame, output: Map<string, Value>) => void

function compileItem(item: Item, around: Surroundings): ItemWriter {
  if (item.kind !== 'named') {
    const evaluate =
      item.kind === 'all' ? compileStar(around) : compileWithQueries(item.expression, around)
    return (frame, output) => {
      const members = evaluate(frame)
      if (!isObject(members)) return
      for (const [key, value] of members) output.set(key, value)
    }
  }
  const evaluate = compileWithQueries(item.expression, around)
  return (frame, output) => {
    const value = evaluate(frame)
    if (value !== undefined) setAt(output, item.target, value)
  }
}

/** Sets `a.b.c`, keeping what earlier items have put beside it. Values of the payload stay as they are. */
function setAt(output: Map<string, Value>, target: readonly string[], value: Value): void {
  const [name = '', ...rest] = target
  if (rest.length === 0) {
    output.set(name, value)
    return
  }
  const there = output.get(name)
  const inner = new Map<string, Value>(isObject(there) ? there : [])
  setAt(inner, rest, value)
  output.set(name, inner)
}

function compileQueryExpression(expression: Subselect | Exists, around: Surroundings): Evaluate {
  const evaluate = compileQuery(expression.query, around)
  if (expression.kind === 'subselect') return evaluate
  return (frame) => {
    const result = evaluate(frame)
    return isArray(result) ? result.length > 0 : result !== undefined
  }
}

/**
 * Elements that a nested query looks at, with all queries inside it. Queries inside each other
 * over one array of a payload would else keep the engine busy for hours.
 */
const elementsMax = 1_000_000

/**
 * A nested query: over an array an array of the results, one for each element that WHERE lets pass;
 * over an object one result; over anything else Undefined. `FROM *` gives an array even when the
 * whole is one object.
 */
function compileQuery(query: Query, around: Surroundings): Evaluate {
  const inside: Surroundings = { ...around, aliases: [...around.aliases, query.alias] }
  const source = compileWithQueries(query.source, around)
  const select = compileSelection(query.selection, inside)
  const where = query.where === undefined ? undefined : compileWithQueries(query.where, inside)
  const givesArray = query.source.kind === 'star'

  const resultFor = (element: Value, outer: Frame, budget: QueryBudget): Value => {
    const { state, document, variables } = outer
    const frame: Frame = { state, document, variables, element, outer, budget }
    return where === undefined || where(frame) === true ? select(frame) : undefined
  }
  return (frame) => {
    const from = source(frame)
    const budget = frame.budget ?? { elementsLeft: elementsMax }
    const resultsOf = (elements: readonly Value[]): Value => {
      const results: Value[] = []
      for (const element of elements) {
        if (budget.elementsLeft <= 0) return undefined
        budget.elementsLeft -= 1
        const result = resultFor(element, frame, budget)
        if (result !== undefined) results.push(result)
      }
      return budget.elementsLeft > 0 ? results : undefined
    }
    if (isArray(from)) return resultsOf(from)
    if (!isObject(from)) return undefined
    return givesArray ? resultsOf([from]) : resultFor(from, frame, budget)
  }
}
