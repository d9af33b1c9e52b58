import type { Dialect } from '../../src/sql/values/dialect.ts'
import { writeJson } from '../../src/sql/values/json-writer.ts'
import { textLengthMax } from '../../src/sql/values/text-limit.ts'
import type { Value } from '../../src/sql/values/values.ts'

/** The JSON text of a value that is known to be small. */
export function jsonText(value: Value, dialect: Dialect): string {
  const text = writeJson(value, dialect, textLengthMax)
  if (text === undefined) throw new Error('the text is longer than a text may be')
  return text
}
