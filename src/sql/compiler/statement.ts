/** A checked statement to the functions that the engine calls for each message. */
import type { Item, Selection, Statement } from '../parser/ast.ts'
import type { Dialect } from '../values/dialect.ts'
import type { MessageDocument } from '../externals/document.ts'
import { writeJson, writeString } from '../values/json-writer.ts'
import { limitedText, textLengthMax } from '../values/text-limit.ts'
import { isArray, isObject } from '../values/values.ts'
import type { Value } from '../values/values.ts'
import type { Evaluate, Frame, Surroundings } from './frame.ts'
import { compileItems, compileWithQueries } from './selection.ts'

export type StatementResult =
  | {
      readonly matched: false
      /** Why there is no output although WHERE was true: one sentence. */
      readonly problem?: string
    }
  | {
      readonly matched: true
      /** What the actions get: for `SELECT *` alone the very bytes of the message. */
      readonly output: Buffer
      /** Whether `output` is a JSON document: a question, because the answer may need the payload read. */
      readonly outputIsJson: () => boolean
    }

const noMatch: StatementResult = Object.freeze({ matched: false })
const tooLong: StatementResult = Object.freeze({
  matched: false,
  problem: `the output is longer than ${textLengthMax} characters`,
})
const isJson = () => true
const isNotJson = () => false

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
    const evaluate = compileWithQueries(selection.expression, around)
    return (frame) => valueResult(evaluate(frame), around.dialect)
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
  const evaluate = compileItems(items, around)
  return (frame) => {
    const { document } = frame
    if (document.message.payload.length > 0 && !isObject(document.payload())) {
      return payloadResult(document)
    }
    return jsonResult(outputText(evaluate(frame), around.dialect))
  }
}

/** The JSON text of an object of items; written straight away where the names are known. */
function compileObjectText(
  items: readonly Item[],
  around: Surroundings,
): (frame: Frame) => string | undefined {
  const members = plainMembers(items, around)
  if (members === undefined) {
    const evaluate = compileItems(items, around)
    return (frame) => outputText(evaluate(frame), around.dialect)
  }
  return (frame) => {
    let text = ''
    for (const { prefix, evaluate } of members) {
      const value = evaluate(frame)
      if (value === undefined) continue
      const valueText = writeJson(value, around.dialect, textLengthMax - text.length)
      if (valueText === undefined) return undefined
      text += (text === '' ? '' : ',') + prefix + valueText
    }
    return limitedText(`{${text}}`)
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
function valueResult(value: Value, dialect: Dialect): StatementResult {
  if (value === undefined)
    return { matched: true, output: Buffer.alloc(0), outputIsJson: isNotJson }
  if (isArray(value) && !dialect.isSecondVersion) return noMatch
  return jsonResult(outputText(value, dialect))
}

/** A rule can name a part of the payload thousands of times: no text is written that is too long. */
function outputText(value: Value, dialect: Dialect): string | undefined {
  return writeJson(value, dialect, textLengthMax)
}

function jsonResult(text: string | undefined): StatementResult {
  if (text === undefined) return tooLong
  return { matched: true, output: Buffer.from(text), outputIsJson: isJson }
}
