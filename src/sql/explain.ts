import type { Expression } from './parser/ast.ts'
import type { SourceRanges } from './parser/cursor.ts'
import { readToken } from './parser/token.ts'
import { parseStatement } from './parser/statement.ts'
import { placeIn } from './parser/syntax-error.ts'
import { findFunction } from './functions/table.ts'
import { compileWithQueries } from './compiler/selection.ts'
import type { Frame, Surroundings } from './externals/frame.ts'
import { messageOf } from '../base/errors.ts'
import { toBoolean } from './values/conversions.ts'
import type { Dialect } from './values/dialect.ts'
import { writeJson } from './values/json-writer.ts'
import { isArray, isNumber, isObject } from './values/values.ts'
import type { TypeName, Value } from './values/values.ts'

/**
 * Why a WHERE is not true for a message. The condition is read and evaluated again, part by part,
 * when somebody asks: the path of messages knows nothing of it.
 *
 * A part is an operand of AND, OR or NOT, a comparison, or an operand of a comparison.
 */
export interface WherePart {
  /** The part as it stands in the statement. */
  readonly text: string
  /** Counted from 1. */
  readonly line: number
  readonly column: number
  readonly value: ExplainedValue
  /** Why the value is what it is, where that is not plain; one sentence without a full stop. */
  readonly note?: string | undefined
  readonly parts: readonly WherePart[]
  /** It names a member that people must not see: neither its value nor its note may be shown. */
  readonly isHidden?: true | undefined
}

/** What of a message people must not see. */
export interface Hiding {
  hides(memberName: string): boolean
  /** @returns the text of a value with what must not be seen of it replaced */
  json(text: string): string | undefined
}

interface ExplainedValue {
  /** `Unknown`: it was not evaluated again, or evaluating it failed. */
  readonly type: TypeName | 'Number' | 'Unknown'
  /** The value as JSON, cut off after 200 characters; absent for Undefined and Unknown. */
  readonly json?: string | undefined
}

const jsonLengthMax = 200
/** Longer values are not written out at all. */
const writtenLengthMax = 65_536
/** Parts of an explanation: what is deeper is shown as a whole. */
const partsMax = 200

/**
 * @param text of a statement that has been compiled
 * @param frame a new scope on the message
 * @param hiding absent: all values are shown
 * @returns undefined for a statement without WHERE
 */
export function explainWhere(
  text: string,
  around: Surroundings,
  frame: Frame,
  hiding?: Hiding,
): WherePart | undefined {
  const ranges: SourceRanges = new Map()
  const { where, assignments } = parseStatement(text, readToken, ranges)
  if (!where) return undefined
  const explaining = {
    text,
    ranges,
    around: { ...around, isResumed: false },
    frame,
    values: new Map(),
    hiding,
    hidesVariables: hiding !== undefined && namesHidden(assignments, { hiding }),
    partsLeft: partsMax,
  }
  return explain(where, explaining)
}

interface Explaining {
  readonly text: string
  readonly ranges: SourceRanges
  readonly around: Surroundings
  readonly frame: Frame
  /** The values of the parts so far. */
  readonly values: Map<WherePart, Value>
  readonly hiding: Hiding | undefined
  /** Whether the value of a variable may come from what is hidden. */
  readonly hidesVariables: boolean
  partsLeft: number
}

function explain(expression: Expression, explaining: Explaining): WherePart {
  const { text, ranges, around, hiding } = explaining
  const { start, end } = ranges.get(expression) ?? { start: expression.at, end: expression.at + 1 }
  const children = childrenOf(expression)
  const isOpened = children.length <= explaining.partsLeft
  explaining.partsLeft -= isOpened ? children.length : 0
  const parts = isOpened ? children.map((child) => explain(child, explaining)) : []
  const { value, note } = evaluate(expression, explaining)
  const part: WherePart = {
    text: text.slice(start, end),
    ...placeIn(text, start),
    value: note === undefined ? explainedValue(value, around.dialect, hiding) : { type: 'Unknown' },
    note: note ?? noteOn(expression, value, parts, explaining),
    parts,
    isHidden: namesHidden(expression, explaining) ? true : undefined,
  }
  explaining.values.set(part, value)
  return part
}

/** The operands that decide; those of arithmetic and of functions are part of one value. */
function childrenOf(expression: Expression): readonly Expression[] {
  if (expression.kind === 'logical') return expression.operands
  if (expression.kind === 'unary' && expression.operator === 'NOT') return [expression.operand]
  if (expression.kind !== 'binary') return []
  const operands = [expression.first, ...expression.steps.map(({ operand }) => operand)]
  return operands.filter(({ kind }) => kind !== 'number' && kind !== 'constant')
}

function evaluate(
  expression: Expression,
  { around, frame }: Explaining,
): { readonly value: Value; readonly note?: string } {
  // Its result is known to the evaluation that asked for it, and it would be asked for again.
  if (callsOut(expression)) {
    return { value: undefined, note: 'calls an external function, which is not called again' }
  }
  try {
    return { value: compileWithQueries(expression, around)(frame) }
  } catch (thrown) {
    return { value: undefined, note: `cannot be evaluated: ${messageOf(thrown)}` }
  }
}

/** Looks through the tree, whatever the kinds of its nodes are. */
function callsOut(node: unknown): boolean {
  if (typeof node !== 'object' || node === null) return false
  const { kind, name, arguments: values }: Partial<Record<string, unknown>> = { ...node }
  if (kind === 'call' && typeof name === 'string' && Array.isArray(values)) {
    if (findFunction(name)?.externalCall?.(values as Expression[]) !== undefined) return true
  }
  return Object.values(node).some(callsOut)
}

/** Whether an expression names a member that is hidden, as a path or as a text. */
function namesHidden(
  node: unknown,
  { hiding, hidesVariables = false }: Partial<Pick<Explaining, 'hiding' | 'hidesVariables'>>,
): boolean {
  if (hiding === undefined) return false
  if (typeof node === 'string') return hiding.hides(node)
  if (typeof node !== 'object' || node === null) return false
  if (hidesVariables && 'kind' in node && node.kind === 'variable') return true
  return Object.values(node).some((part) => namesHidden(part, { hiding, hidesVariables }))
}

function noteOn(
  expression: Expression,
  value: Value,
  parts: readonly WherePart[],
  { frame, values }: Explaining,
): string | undefined {
  if (expression.kind === 'path' && value === undefined) {
    const payload = frame.document.payload()
    if (payload === undefined) return 'the payload is not JSON'
    return missingName(payload, expression.names)
  }
  if (expression.kind === 'logical') {
    const odd = parts.find((part) => {
      const operand = values.get(part)
      return operand !== undefined && toBoolean(operand) === undefined
    })
    if (odd) return `${odd.text} is no Boolean`
  }
  if (value !== undefined || !['logical', 'binary'].includes(expression.kind)) return undefined
  const unknown = parts.find((part) => part.value.type === 'Undefined')
  if (unknown) return `Undefined, because ${unknown.text} is Undefined`
  const types = parts.map((part) => part.value.type).join(' and ')
  return `Undefined: the operator does not take ${types || 'these values'}`
}

function missingName(payload: Value, names: readonly string[]): string {
  let value = payload
  for (const [index, name] of names.entries()) {
    const place = index === 0 ? 'the payload' : names.slice(0, index).join('.')
    if (!isObject(value)) return `${place} is no object`
    if (!value.has(name)) return `${place} has no member ${name}`
    value = value.get(name)
  }
  return 'its value is Undefined'
}

function explainedValue(
  value: Value,
  dialect: Dialect,
  hiding: Hiding | undefined,
): ExplainedValue {
  const type = typeOf(value)
  if (value === undefined) return { type }
  const written = writeJson(value, dialect, writtenLengthMax)
  // Before it is cut off: half of what is hidden would not be found.
  const json = written === undefined || !hiding ? written : hiding.json(written)
  const isWhole = json !== undefined && json.length <= jsonLengthMax
  return { type, json: isWhole ? json : `${(json ?? '').slice(0, jsonLengthMax)}...` }
}

function typeOf(value: Value): ExplainedValue['type'] {
  if (value === undefined) return 'Undefined'
  if (value === null) return 'Null'
  if (typeof value === 'boolean') return 'Boolean'
  if (typeof value === 'string') return 'String'
  if (isNumber(value)) return 'Number'
  return isArray(value) ? 'Array' : 'Object'
}
