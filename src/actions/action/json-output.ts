import { readJson } from '../../sql/values/json-reader.ts'
import { writeJson } from '../../sql/values/json-writer.ts'
import type { Dialect } from '../../sql/values/dialect.ts'
import { isObject } from '../../sql/values/values.ts'
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
  return readOutput(output) === undefined ? 'the output of the rule is not JSON' : undefined
}

export const notAnObject = 'the output of the rule is not a JSON object'

/** How the parts of an output are written again: numbers keep their text in every version. */
export const outputDialect: Dialect = Object.freeze({
  version: '2016-03-23',
  wholeDecimalsAreInts: false,
  isSecondVersion: true,
})

/** The JSON texts of the elements of an array. */
export function elementTexts(elements: SqlArray): readonly string[] {
  return elements.map((element) => writeJson(element, outputDialect, Infinity) ?? '')
}
