/** Runs one of the heavy messages in this process, and prints what comes of it as JSON. */
import { compileStatement, createDocument, failureOf, settle } from '../../src/sql/sql.ts'
import { compileTemplate } from '../../src/sql/template.ts'
import { heavyMessages } from './heavy-messages.ts'

const given = heavyMessages[process.argv[2] ?? '']
if (given === undefined) throw new Error('there is no such message')
const payload = JSON.stringify(given.payload()).replace(/"(7{100,})"/, '$1')
const message = { topic: 'q/1', payload: Buffer.from(payload), timestampMs: 0 }
const environment = {
  accountId: '123456789012',
  newUuid: () => 'uuid-1',
  callExternal: () => Promise.resolve(null),
}
const statement = compileStatement(given.sql, '2016-03-23')
const templates = (given.templates ?? []).map((text) => compileTemplate(text, statement))
const scope = statement.openScope(createDocument(message, environment))

const result = await settle(scope, () => statement.evaluate(scope))
if (result.matched) console.log(result.output.toString())
else console.log(result.problem ?? failureOf(scope)?.reason ?? 'no match')
for (const template of templates) {
  try {
    console.log(await settle(scope, () => template.expand(scope)))
  } catch (thrown) {
    console.log(String(thrown))
  }
}
