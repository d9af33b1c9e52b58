import {
  DeleteItemCommand,
  DynamoDBClient,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb'
import { clientOptionsOf, createSend, eachAlone } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/** Writes items of one table, one by one: a batch would neither update nor say what failed. */
export function createDynamodbSend(options: SenderOptions) {
  const client = new DynamoDBClient(clientOptionsOf(options))
  return createSend('DynamoDB', client, options, (requests, abortSignal) =>
    eachAlone('DynamoDB', requests, ({ operation, parameters }) => {
      const input = withBinary(parameters) as never
      if (operation === 'DeleteItem')
        return client.send(new DeleteItemCommand(input), { abortSignal })
      if (operation === 'UpdateItem')
        return client.send(new UpdateItemCommand(input), { abortSignal })
      return client.send(new PutItemCommand(input), { abortSignal })
    }),
  )
}

/** The stored call is JSON, so the binary attribute of an item stands there as base64. */
function withBinary(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(withBinary)
  const members = Object.entries(value).map(([name, member]: [string, unknown]) => {
    const base64 = name === 'B' ? base64Of(member) : undefined
    return [name, base64 === undefined ? withBinary(member) : Buffer.from(base64, 'base64')]
  })
  return Object.fromEntries(members)
}

function base64Of(member: unknown): string | undefined {
  if (typeof member !== 'object' || member === null || !('base64' in member)) return undefined
  return typeof member.base64 === 'string' ? member.base64 : undefined
}
