import { readJson } from '../sql/values/json-reader.ts'
import type { Value } from '../sql/values/values.ts'

/** Characters of a function's own error message that a log line shows. */
const shownCharactersMax = 200
/** Lambda allows 6 MB, but the parsed values take many times as much memory as their JSON. */
const answerBytesMax = 1024 * 1024

/** What a function of Lambda answered to a synchronous invocation. */
interface FunctionAnswer {
  /** What the function returned as JSON, or its error. */
  readonly payload: Buffer
  readonly hasFailed: boolean
}

/**
 * The value that a function returned.
 *
 * @throws Error when the function failed, or returned too much or no JSON
 */
export function valueOfFunctionAnswer({ payload, hasFailed }: FunctionAnswer): Value {
  if (payload.length > answerBytesMax) {
    throw new Error(`the function returned more than ${answerBytesMax} bytes`)
  }
  const text = payload.toString()
  if (hasFailed) throw new Error(`the function failed: ${text.slice(0, shownCharactersMax)}`)
  const value = readJson(text)
  if (value === undefined) throw new Error('the function did not return JSON')
  return value
}
