/** Runs rules with external functions that answer as a test says. */
import {
  compileStatement,
  createDocument,
  failureOf,
  resolveExternals,
} from '../../../src/sql/sql.ts'
import type { CallExternal, ExternalRequest, SqlVersion } from '../../../src/sql/sql.ts'
import { compileTemplate } from '../../../src/sql/template.ts'
import { readJson } from '../../../src/sql/values/json-reader.ts'

export interface Given {
  /** JSON of what a request is answered with; throws to fail; `''` is Undefined. */
  readonly answer?: (request: ExternalRequest) => string | Promise<string>
  readonly payload?: string | Buffer
  readonly version?: SqlVersion
  readonly templates?: readonly string[]
}

export interface Outcome {
  /** What the actions get; undefined where the rule does not fire. */
  readonly output: string | undefined
  readonly templates: readonly string[]
  readonly failure: string | undefined
  /** In the order in which they were begun. */
  readonly requests: readonly ExternalRequest[]
  readonly rounds: number
  readonly isSynchronous: boolean
}

export async function evaluateExternally(sql: string, given: Given = {}): Promise<Outcome> {
  const { answer = () => '1', payload = '{}', version = '2016-03-23' } = given
  const requests: ExternalRequest[] = []
  const callExternal: CallExternal = async (request) => {
    requests.push(request)
    return readJson(await answer(request))
  }
  const statement = compileStatement(sql, version)
  const templates = (given.templates ?? []).map((text) => compileTemplate(text, statement))
  const environment = {
    accountId: '123456789012',
    newUuid: () => crypto.randomUUID(),
    callExternal,
  }
  const message = { topic: 'a/b', payload: Buffer.from(payload), timestampMs: 0 }
  const scope = statement.openScope(createDocument(message, environment))
  let rounds = 0
  const settled = resolveExternals(scope, () => {
    rounds += 1
    const result = statement.evaluate(scope)
    return { result, texts: templates.map((template) => template.expand(scope)) }
  })
  const { result, texts } = await settled
  return {
    output: result.matched ? result.output.toString() : undefined,
    templates: texts,
    failure: failureOf(scope)?.reason,
    requests,
    rounds,
    isSynchronous: !(settled instanceof Promise),
  }
}

/** One value of a SELECT, as JSON text; empty when Undefined. */
export async function valueOf(expression: string, given: Given = {}): Promise<Outcome> {
  return evaluateExternally(`SELECT VALUE ${expression} FROM 'a/b'`, given)
}
