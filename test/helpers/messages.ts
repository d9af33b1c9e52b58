import type { Message } from '../../src/message.ts'
import { compileStatement, createDocument } from '../../src/sql/sql.ts'
import type { MessageDocument, Scope } from '../../src/sql/sql.ts'

export const testEnvironment = { accountId: '123456789012', newUuid: () => 'uuid-1' }

/** A message as a device may send it; `payload` as JSON unless it is bytes already. */
export function messageWith(
  given: Partial<Omit<Message, 'payload'>> & { payload?: unknown } = {},
): Message {
  const { payload = {}, ...rest } = given
  return {
    topic: 'a/b',
    payload: Buffer.isBuffer(payload) ? payload : Buffer.from(JSON.stringify(payload)),
    qos: 1,
    retain: false,
    transport: 'mqtt',
    clientId: 'c1',
    timestampMs: 1_700_000_000_000,
    ...rest,
  }
}

export function documentOf(message: Message): MessageDocument {
  return createDocument(message, testEnvironment)
}

/** What a template of a rule with this statement sees. */
export function scopeOf(message: Message, sql = "SELECT * FROM 'a/b'"): Scope {
  return compileStatement(sql, '2016-03-23').openScope(documentOf(message))
}
