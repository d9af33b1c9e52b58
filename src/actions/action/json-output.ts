import { readJson } from '../../sql/values/json-reader.ts'
import { writeJson } from '../../sql/values/json-writer.ts'
import type { Dialect } from '../../sql/values/dialect.ts'
import { isArray, isObject } from '../../sql/values/values.ts'
import type { SqlArray, SqlObject, Value } from '../../sql/values/values.ts'

/**
 * Reads the output of a rule. Numbers keep their text.
 *
 * @returns undefined when it is not JSON
 */
export function readOutput(output: Buffer): Value {
  return readJson(output.toString())
}

/** The same for an action that takes nothing but an object. */
export function readObjectOutput(output: Buffer): SqlObject | undefined {
  const value = readOutput(output)
  return isObject(value) ? value : undefined
}

/** What is wrong with the output of an action that takes JSON alone; undefined when it is JSON. */
export function jsonProblem(output: Buffer): string | undefined {
  return readOutput(output) === undefined ? notJson : undefined
}

const notJson = 'the output of the rule is not JSON'

export const notAnObject = 'the output of the rule is not a JSON object'

/** How the parts of an output are written again: numbers keep their text in every version. */
export const outputDialect: Dialect = Object.freeze({
  version: '2016-03-23',
  wholeDecimalsAreInts: false,
  isSecondVersion: true,
})

/**
 * The JSON texts of the messages that `batchMode` makes of an output: one for each element of an
 * array. Any other output is one message, as every output is without `batchMode`.
 *
 * @param countMax messages that the service takes in one call
 */
export function messagesOf(
  output: Buffer,
  { batchMode, countMax }: { readonly batchMode: boolean; readonly countMax: number },
): { readonly messages: readonly string[] } | { readonly problem: string } {
  const value = readOutput(output)
  if (value === undefined) return { problem: notJson }
  if (!batchMode || !isArray(value)) return { messages: [output.toString()] }
  const problem = batchProblem(value, countMax)
  return problem === undefined ? { messages: elementTexts(value) } : { problem }
}

/** What is wrong with the number of elements that `batchMode` is given. */
export function batchProblem({ length }: SqlArray, countMax: number): string | undefined {
  if (length >= 1 && length <= countMax) return undefined
  return `the array has ${length} elements; batchMode takes 1 to ${countMax}`
}

/** The JSON texts of the elements of an array. */
export function elementTexts(elements: SqlArray): readonly string[] {
  return elements.map((element) => writeJson(element, outputDialect, Infinity) ?? '')
}
