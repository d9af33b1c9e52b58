/** Compiles SELECT: the object of its items, or the one value of SELECT VALUE. */
import type { Exists, Expression, Item, Query, Selection, Subselect } from '../parser/ast.ts'
import { eachSibling } from './external-calls.ts'
import { isArray, isObject } from '../values/values.ts'
import type { SqlObject, Value } from '../values/values.ts'
import { memberSteps, objectSteps, spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'
import { compileExpression, compileStar } from './expression.ts'
import { placeOf } from '../externals/frame.ts'
import type { Evaluate, Frame, Surroundings } from '../externals/frame.ts'
import { stepsOf, stepsOfElement, stepsOfSelection } from './steps.ts'

/** Compiles an expression that may contain nested queries. */
export function compileWithQueries(expression: Expression, around: Surroundings): Evaluate {
  return compileExpression(expression, around, compileQueryExpression)
}

/** Compiles the value of a SELECT, for the message or for an element of a nested query. */
function compileSelection(selection: Selection, around: Surroundings): Evaluate {
  if (selection.kind === 'value') return compileWithQueries(selection.expression, around)
  const [first] = selection.items
  if (selection.items.length === 1 && first?.kind === 'all') return compileStar(around)
  return compileItems(selection.items, around)
}

/** The object of the items. A later item replaces one of the same name; Undefined is left out. */
export function compileItems(items: readonly Item[], around: Surroundings): Evaluate {
  const writers = items.map((item) => compileItem(item, around))
  const { isResumed } = around
  return (frame) => {
    const output: Output = { members: new Map(), owned: undefined }
    if (isResumed) eachSibling(writers, frame.state, (write) => write(frame, output))
    else for (const write of writers) write(frame, output)
    return output.members
  }
}

/** The object that the items of a SELECT build. */
interface Output {
  readonly members: Map<string, Value>
  /** The inner objects that were made for it. Others belong to the payload and must not change. */
  owned: Set<Map<string, Value>> | undefined
}

type ItemWriter = (frame: Frame, output: Output) => void

function compileItem(item: Item, around: Surroundings): ItemWriter {
  const { at } = item
  if (item.kind !== 'named') {
    const evaluate =
      item.kind === 'all' ? compileStar(around) : compileWithQueries(item.expression, around)
    const place = placeOf(around, item.kind === 'all' ? '*' : 'the members of an object', at)
    return (frame, { members }) => {
      const added = evaluate(frame)
      if (!isObject(added)) return
      frame.state.place = place
      spend(frame.state, added.size * memberSteps)
      for (const [key, value] of added) members.set(key, value)
    }
  }
  const evaluate = compileWithQueries(item.expression, around)
  const { target } = item
  const [name = ''] = target
  if (target.length === 1) {
    return (frame, { members }) => {
      const value = evaluate(frame)
      if (value !== undefined) members.set(name, value)
    }
  }
  const place = placeOf(around, target.join('.'), at)
  return (frame, output) => {
    const value = evaluate(frame)
    if (value === undefined) return
    frame.state.place = place
    setAt(output, target, value, frame.state)
  }
}

/**
 * Sets `a.b.c` beside the members that earlier items set, without changing the payload's values.
 */
function setAt(output: Output, target: readonly string[], value: Value, work: Work): void {
  output.owned ??= new Set()
  const { owned } = output
  let object = output.members
  for (const name of target.slice(0, -1)) {
    const there = object.get(name)
    let inner = there instanceof Map && owned.has(there) ? there : undefined
    if (inner === undefined) {
      const members: SqlObject = isObject(there) ? there : new Map()
      spend(work, objectSteps + members.size * memberSteps)
      inner = new Map(members)
      owned.add(inner)
      object.set(name, inner)
    }
    object = inner
  }
  object.set(target.at(-1) ?? '', value)
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
 * A nested query. Over an array it gives an array with the result of each element for which WHERE
 * is true, over an object one result, and over any other value Undefined. `FROM *` gives an array
 * even when the payload is an object.
 *
 * Each element spends steps for the query's own length, so that queries nested over one array of a
 * payload cannot keep the engine busy for hours.
 */
function compileQuery(query: Query, around: Surroundings): Evaluate {
  const inside: Surroundings = { ...around, aliases: [...around.aliases, query.alias] }
  const source = compileWithQueries(query.source, around)
  const select = compileSelection(query.selection, inside)
  const where = query.where === undefined ? undefined : compileWithQueries(query.where, inside)
  const givesArray = query.source.kind === 'star'
  const place = placeOf(around, 'the nested query', query.at)
  const elementSteps = stepsOfElement + (query.where === undefined ? 0 : stepsOf(query.where))
  const selectSteps = stepsOfSelection(query.selection)

  const resultFor = (element: Value, index: number, outer: Frame): Value => {
    const { state, document, variables } = outer
    const frame: Frame = { state, document, variables, element, index, outer }
    state.place = place
    spend(state, elementSteps)
    if (where !== undefined && where(frame) !== true) return undefined
    state.place = place
    spend(state, selectSteps)
    return select(frame)
  }
  const resultsOf = (elements: readonly Value[], frame: Frame): Value => {
    const results: Value[] = []
    const addResult = (element: Value, index: number) => {
      const result = resultFor(element, index, frame)
      if (result !== undefined) results.push(result)
    }
    if (around.isResumed) eachSibling(elements, frame.state, addResult)
    else for (let index = 0; index < elements.length; index++) addResult(elements[index], index)
    return results
  }
  return (frame) => {
    const from = source(frame)
    if (isArray(from)) return resultsOf(from, frame)
    if (!isObject(from)) return undefined
    return givesArray ? resultsOf([from], frame) : resultFor(from, 0, frame)
  }
}
