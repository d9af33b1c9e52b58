/** A checked statement to the functions that the engine calls for each message. */
import type { Expression, Item, Selection, Statement } from '../parser/ast.ts'
import type { MessageDocument } from '../externals/document.ts'
import { writeString, writtenJson } from '../values/json-writer.ts'
import { textLengthMax } from '../values/text-limit.ts'
import { isArray, isObject } from '../values/values.ts'
import type { WorkPlace } from '../values/work.ts'
import { placeOf } from '../externals/frame.ts'
import type { Evaluate, Frame, Surroundings } from '../externals/frame.ts'
import { compileItems, compileWithQueries } from './selection.ts'

export type StatementResult =
  | {
      readonly matched: false
      /** Why there is no output although WHERE was true. */
      readonly problem?: OutputProblem
    }
  | {
      readonly matched: true
      /** What the actions get: for `SELECT *` alone the very bytes of the message. */
      readonly output: Buffer
      /** Whether `output` is a JSON document: a question, because the answer may need the payload read. */
      readonly outputIsJson: () => boolean
    }

export interface OutputProblem {
  readonly code: 'OutputTooLong' | 'OutputNotAllowed'
  /** One sentence without a full stop. */
  readonly reason: string
}

const noMatch: StatementResult = Object.freeze({ matched: false })
const tooLong = noOutput('OutputTooLong', `the output is longer than ${textLengthMax} characters`)
const noArrays = noOutput(
  'OutputNotAllowed',
  'under SQL version 2015-10-08 the output of a rule cannot be an array',
)
const isJson = () => true
const isNotJson = () => false

function noOutput(code: OutputProblem['code'], reason: string): StatementResult {
  return { matched: false, problem: Object.freeze({ code, reason }) }
}

/** WHERE and then SELECT, on a frame of the statement. */
export function compileEvaluation(
  statement: Statement,
  around: Surroundings,
): (frame: Frame) => StatementResult {
  const select = compileOutput(statement.selection, around)
  if (statement.where === undefined) return select
  const where = compileWithQueries(statement.where, around)
  return (frame) => (where(frame) === true ? select(frame) : noMatch)
}

function compileOutput(
  selection: Selection,
  around: Surroundings,
): (frame: Frame) => StatementResult {
  if (isWholePayload(selection)) return ({ document }) => payloadResult(document)
  if (selection.kind === 'value') {
    return compileValue(selection.expression, around)
  }
  const { items } = selection
  if (items.some((item) => item.kind === 'all')) return compileWithPayload(items, around)
  const write = compileObjectText(items, around)
  return (frame) => jsonResult(write(frame))
}

/** `SELECT *` and `SELECT VALUE *`: the payload is handed on and need not be read. */
function isWholePayload(selection: Selection): boolean {
  if (selection.kind === 'value') return selection.expression.kind === 'star'
  return selection.items.every((item) => item.kind === 'all')
}

/** `SELECT *, x AS y`: adds to objects and to the empty payload, and hands on anything else. */
function compileWithPayload(
  items: readonly Item[],
  around: Surroundings,
): (frame: Frame) => StatementResult {
  const write = compileText(compileItems(items, around), around)
  return (frame) => {
    const { document } = frame
    if (document.message.payload.length > 0 && !isObject(document.payload())) {
      return payloadResult(document)
    }
    return jsonResult(write(frame))
  }
}

/** The JSON text of an object of items; written straight away where the names are known. */
function compileObjectText(
  items: readonly Item[],
  around: Surroundings,
): (frame: Frame) => string | undefined {
  const members = plainMembers(items, around)
  // Where items may wait for a result, those after them are evaluated before a text is written.
  if (members === undefined || around.isResumed) {
    return compileText(compileItems(items, around), around)
  }
  const place = outputPlace(around)
  return (frame) => {
    let text = ''
    for (const { prefix, evaluate } of members) {
      const value = evaluate(frame)
      if (value === undefined) continue
      frame.state.place = place
      const valueText = writtenJson(value, around.dialect, frame.state)
      if (valueText === undefined || text.length > textLengthMax) return undefined
      text += (text === '' ? '' : ',') + prefix + valueText
    }
    return text.length + '{}'.length > textLengthMax ? undefined : `{${text}}`
  }
}

/** The items, when each has one name of its own. */
function plainMembers(
  items: readonly Item[],
  around: Surroundings,
): readonly { prefix: string; evaluate: Evaluate }[] | undefined {
  const names = new Set<string>()
  const members: { prefix: string; evaluate: Evaluate }[] = []
  for (const item of items) {
    if (item.kind !== 'named') return undefined
    const [name] = item.target
    if (name === undefined || item.target.length > 1 || names.has(name)) return undefined
    names.add(name)
    members.push({
      prefix: `${writeString(name)}:`,
      evaluate: compileWithQueries(item.expression, around),
    })
  }
  return members
}

function payloadResult(document: MessageDocument): StatementResult {
  const outputIsJson = () => document.payload() !== undefined
  return { matched: true, output: document.message.payload, outputIsJson }
}

/** `SELECT VALUE`: Undefined is the empty payload; 2015-10-08 has no arrays at the top. */
function compileValue(
  expression: Expression,
  around: Surroundings,
): (frame: Frame) => StatementResult {
  const evaluate = compileWithQueries(expression, around)
  const { dialect } = around
  const place = outputPlace(around)
  return (frame) => {
    const value = evaluate(frame)
    if (value === undefined) return emptyOutput
    if (isArray(value) && !dialect.isSecondVersion) return noArrays
    frame.state.place = place
    return jsonResult(writtenJson(value, dialect, frame.state))
  }
}

const emptyOutput: StatementResult = Object.freeze({
  matched: true,
  output: Buffer.alloc(0),
  outputIsJson: isNotJson,
})

/** A rule can name a part of the payload thousands of times: no text is written that is too long. */
function compileText(
  evaluate: Evaluate,
  around: Surroundings,
): (frame: Frame) => string | undefined {
  const place = outputPlace(around)
  return (frame) => {
    const value = evaluate(frame)
    frame.state.place = place
    return writtenJson(value, around.dialect, frame.state)
  }
}

function outputPlace(around: Surroundings): WorkPlace {
  return placeOf(around, 'the output of SELECT', Math.max(around.text.search(/\bSELECT\b/i), 0))
}

function jsonResult(text: string | undefined): StatementResult {
  if (text === undefined) return tooLong
  return { matched: true, output: Buffer.from(text), outputIsJson: isJson }
}
