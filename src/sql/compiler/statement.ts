/** Compiles a checked statement into the function that the engine calls for each message. */
import type { Expression, Item, Selection, Statement } from '../parser/ast.ts'
import type { MessageDocument } from '../externals/document.ts'
import { writeString, writtenJson } from '../values/json-writer.ts'
import { textLengthMax } from '../values/text-limit.ts'
import { isArray, isObject } from '../values/values.ts'
import type { WorkPlace } from '../values/work.ts'
import { placeOf } from '../externals/frame.ts'
import { firstVersionOutput } from './first-version.ts'
import type { Evaluate, Frame, Surroundings } from '../externals/frame.ts'
import { compileItems, compileWithQueries } from './selection.ts'

export type StatementResult =
  | {
      readonly matched: false
      /** The reason for no output although WHERE was true. */
      readonly problem?: OutputProblem
    }
  | {
      readonly matched: true
      /** The payload for the actions; for `SELECT *` alone the bytes of the message. */
      readonly output: Buffer
      /**
       * Whether `output` is a JSON document. A function, because it may have to read the payload.
       */
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

/** Compiles WHERE and SELECT, which run on a frame of the statement. */
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
  if (around.dialect.flattensOutput) return compileFlatOutput(selection, around)
  if (isWholePayload(selection)) return ({ document }) => payloadResult(document)
  if (selection.kind === 'value') {
    return compileValue(selection.expression, around)
  }
  const { items } = selection
  if (items.some((item) => item.kind === 'all')) return compileWithPayload(items, around)
  const write = compileObjectText(items, around)
  return (frame) => jsonResult(write(frame))
}

/** The output without nested values. What is not JSON passes unchanged, as everywhere. */
function compileFlatOutput(
  selection: Selection,
  around: Surroundings,
): (frame: Frame) => StatementResult {
  const place = outputPlace(around)
  const flatten = (evaluate: Evaluate): Evaluate => {
    return (frame) => {
      const value = evaluate(frame)
      frame.state.place = place
      return firstVersionOutput(value, frame.state)
    }
  }
  if (isWholePayload(selection)) {
    const write = compileText(
      flatten(({ document }) => document.payload()),
      around,
    )
    return (frame) => {
      const { document } = frame
      if (document.payload() === undefined) return payloadResult(document)
      return jsonResult(write(frame))
    }
  }
  if (selection.kind === 'value') return compileValue(selection.expression, around)
  const { items } = selection
  const write = compileText(flatten(compileItems(items, around)), around)
  if (!items.some((item) => item.kind === 'all')) return (frame) => jsonResult(write(frame))
  return whereAdding(write)
}

/** True for `SELECT *` and `SELECT VALUE *`, which pass the payload on without reading it. */
function isWholePayload(selection: Selection): boolean {
  if (selection.kind === 'value') return selection.expression.kind === 'star'
  return selection.items.every((item) => item.kind === 'all')
}

/** `SELECT *, x AS y`: adds members to an object or an empty payload; others pass unchanged. */
function compileWithPayload(
  items: readonly Item[],
  around: Surroundings,
): (frame: Frame) => StatementResult {
  return whereAdding(compileText(compileItems(items, around), around))
}

function whereAdding(
  write: (frame: Frame) => string | undefined,
): (frame: Frame) => StatementResult {
  return (frame) => {
    const { document } = frame
    if (document.message.payload.length > 0 && !isObject(document.payload())) {
      return payloadResult(document)
    }
    return jsonResult(write(frame))
  }
}

/** Compiles items to the JSON text of their object, written directly where the names are known. */
function compileObjectText(
  items: readonly Item[],
  around: Surroundings,
): (frame: Frame) => string | undefined {
  const members = plainMembers(items, around)
  // When an item may wait for a result, all items are evaluated before any text is written.
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

/** The items, when each has one name that no other item has. */
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

/** `SELECT VALUE`: Undefined becomes the empty payload; 2015-10-08 allows no array as output. */
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
    const output = dialect.flattensOutput ? firstVersionOutput(value, frame.state) : value
    return jsonResult(writtenJson(output, dialect, frame.state))
  }
}

const emptyOutput: StatementResult = Object.freeze({
  matched: true,
  output: Buffer.alloc(0),
  outputIsJson: isNotJson,
})

/** The JSON text, which ends at its limit: a rule can repeat a part of the payload very often. */
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
