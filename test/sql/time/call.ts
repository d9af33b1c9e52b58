/** Calls a function of the language as a compiled statement does. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { compileStatement, createDocument } from '../../../src/sql/sql.ts'
import { findFunction } from '../../../src/sql/functions/table.ts'
import { numberFromText, numberText } from '../../../src/sql/values/numbers.ts'
import { isNumber } from '../../../src/sql/values/values.ts'
import type { Value } from '../../../src/sql/values/values.ts'

const dialect = Object.freeze({
  version: '2016-03-23',
  isSecondVersion: true,
  wholeDecimalsAreInts: true,
} as const)

const document = createDocument(
  { topic: 'a', payload: Buffer.from('{}'), timestampMs: 0 },
  { accountId: '000000000000', newUuid: () => '' },
)

const statement = compileStatement("SELECT * FROM 'a'", '2016-03-23')

/** Numbers go in as numbers of the language and come out as their text; Undefined is null. */
export function call(name: string, ...values: readonly (Value | bigint)[]): Value {
  const converted = values.map((value) =>
    typeof value === 'bigint' ? numberFromText(String(value)) : value,
  )
  const result = findFunction(name)?.implementation(
    converted,
    statement.openScope(document),
    dialect,
  )
  if (result === undefined) return null
  return isNumber(result) ? numberText(result, dialect) : result
}

/** Rows of values as another implementation gave them. */
export function readTable(name: string): readonly (readonly (string | null)[])[] {
  return JSON.parse(
    readFileSync(path.join(import.meta.dirname, name), 'utf8'),
  ) as readonly (readonly (string | null)[])[]
}
