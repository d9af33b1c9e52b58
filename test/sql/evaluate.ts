/** Runs statements and expressions the way the engine does. */
import { compileStatement, createDocument } from '../../src/sql/sql.ts'
import type { SqlMessage, SqlVersion } from '../../src/sql/sql.ts'

const environment = { accountId: '123456789012', newUuid: () => crypto.randomUUID() }

/** What comes out of a statement as text; undefined when the rule does not fire. */
export function output(
  sql: string,
  payload: string | Buffer = '{}',
  version: SqlVersion = '2016-03-23',
  message: Partial<SqlMessage> = {},
): string | undefined {
  const statement = compileStatement(sql, version)
  const document = createDocument(
    { topic: 'a/b', payload: Buffer.from(payload), timestampMs: 1_700_000_000_000, ...message },
    environment,
  )
  const result = statement.evaluate(statement.openScope(document))
  return result.matched ? result.output.toString() : undefined
}

/** The text of an expression's value in a template. */
export function expanded(expression: string, payload = '{}', sql = "SELECT * FROM 'a/b'"): string {
  const statement = compileStatement(sql, '2016-03-23')
  const document = createDocument(
    { topic: 'a/b', payload: Buffer.from(payload), timestampMs: 0 },
    environment,
  )
  const compiled = statement.compileExpression(expression, 0).expression
  return compiled.expandText(statement.openScope(document)) ?? 'too long'
}
