import { compileActions } from '../../../src/actions/compile-actions.ts'
import { shownCall } from '../../../src/aws/call/service-call.ts'
import { messageOf } from '../../../src/base/errors.ts'
import { sourceOf } from '../../../src/engine/run-rule.ts'
import { deliveryDefaults as settings } from '../../../src/outbox/outbox.ts'
import { parsePayload } from '../../../src/rules/payload.ts'
import { compileStatement } from '../../../src/sql/sql.ts'
import { messageWith, scopeOf } from '../../helpers/messages.ts'

export const roleArn = 'arn:aws:iam::123456789012:role/write'
export const statement = compileStatement("SELECT * FROM 'a/b'", '2016-03-23')

function compile(definition: object) {
  const { actions } = parsePayload({ sql: "SELECT * FROM 'a/b'", actions: [definition] })
  const context = { ruleName: 'r', region: 'eu-west-1', deliveryOf: () => ({ settings }) }
  const [action] = compileActions({ actions }, statement, context).actions
  if (!action) throw new Error('no action was compiled')
  return action
}

export function apply(
  definition: object,
  output: string | Buffer = '{"t":21.50}',
  payload: unknown = {},
) {
  const message = messageWith({ payload })
  const source = sourceOf(message, () => 'message-id')
  return compile(definition).apply(scopeOf(message), Buffer.from(output), source)
}

export function recordOf(definition: object, output?: string | Buffer, payload?: unknown) {
  const outcome = apply(definition, output, payload)
  if (!outcome.ok) throw new Error(`${outcome.failure.where}: ${outcome.failure.message}`)
  const [record] = outcome.records
  if (!record?.call) throw new Error('no call was made')
  return { ...record, call: shownCall(record.call, record.data) }
}

export const definitionOf = (kind: string, fields: object) => ({ [kind]: { roleArn, ...fields } })
export const lambda = (functionArn: string) => ({ lambda: { functionArn } })
export const functionArn = 'arn:aws:lambda:us-west-2:123456789012:function:f'
export const queueUrl = 'https://sqs.us-west-2.amazonaws.com/123456789012/q'
export const targetArn = 'arn:aws:sns:us-west-2:123456789012:t'
export const dynamo = { tableName: 'table', hashKeyField: 'id', hashKeyValue: '${id}' }

/** What is wrong with actions at creation, or `accepted`. */
export function refusalOf(...definitions: object[]): string {
  try {
    const payload = parsePayload({ sql: "SELECT * FROM 'a/b'", actions: definitions })
    const context = { ruleName: 'r', region: 'eu-west-1', deliveryOf: () => ({ settings }) }
    compileActions(payload, statement, context)
  } catch (thrown) {
    return messageOf(thrown)
  }
  return 'accepted'
}
