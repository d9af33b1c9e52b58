/** Evaluates one expression the way the engine does. */
import { SluiceError } from '../../../src/base/errors.ts'
import { compileStatement, createDocument } from '../../../src/sql/sql.ts'
import type { SqlEnvironment, SqlMessage, SqlVersion } from '../../../src/sql/sql.ts'

export interface Given {
  readonly version?: SqlVersion
  readonly payload?: string | Buffer
  readonly message?: Partial<SqlMessage>
  readonly random?: () => number
}

/** The value as JSON text; the empty text is Undefined. */
export function valueOf(expression: string, given: Given = {}): string {
  const { version = '2016-03-23', payload = '{}', message = {}, random } = given
  const statement = compileStatement(`SELECT VALUE ${expression} FROM 'a/b'`, version)
  const environment: SqlEnvironment = {
    accountId: '123456789012',
    newUuid: () => crypto.randomUUID(),
    ...(random === undefined ? {} : { random }),
  }
  const document = createDocument(
    { topic: 'a/b', payload: Buffer.from(payload), timestampMs: 0, ...message },
    environment,
  )
  const result = statement.evaluate(statement.openScope(document))
  if (!result.matched) throw new Error(`no match: ${expression}`)
  return result.output.toString()
}

/** The first line of the refusal of an expression. */
export function refusalOf(expression: string, version: SqlVersion = '2016-03-23'): string {
  try {
    compileStatement(`SELECT ${expression} AS v FROM 'a/b'`, version)
  } catch (thrown) {
    if (thrown instanceof SluiceError) return thrown.message.split('\n')[0] ?? ''
    throw thrown
  }
  throw new Error(`accepted: ${expression}`)
}

/** One value of each type, in the order of the columns of a table of types. */
const typed = ['7', '-2.5', '"7.5"', '"abc"', 'true', '[1]', '{"a":1}', 'null', undefined]

/** The values of an expression of `x` for an x of each type, `-` for Undefined. */
export function valuesByType(expression: string, version: SqlVersion = '2016-03-23'): string {
  return typed
    .map((x) => (x === undefined ? '{}' : `{"x":${x}}`))
    .map((payload) => valueOf(expression, { payload, version }) || '-')
    .join(' ')
}
