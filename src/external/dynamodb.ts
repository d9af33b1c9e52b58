import { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb'
import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import type { DynamoDbKey, DynamoDbRequest } from '../sql/externals/external-request.ts'
import { numberFromText } from '../sql/values/numbers.ts'
import type { Value } from '../sql/values/values.ts'
import { createRoleCalls } from '../aws/role-calls.ts'
import type { AwsAccess } from '../aws/role-calls.ts'

/** `get_dynamodb`: one item by its key. */
export function createDynamoDb(access: AwsAccess) {
  const withRole = createRoleCalls(access, (options) => new DynamoDBClient(options))

  return async (request: DynamoDbRequest, signal: AbortSignal): Promise<Value> => {
    const { tableName, partitionKey, sortKey, roleArn } = request
    const keys = sortKey === undefined ? [partitionKey] : [partitionKey, sortKey]
    const command = new GetItemCommand({
      TableName: tableName,
      Key: Object.fromEntries(keys.map((key) => [key.name, attributeOf(key)])),
    })
    const answer = await withRole(roleArn, (client) =>
      client.send(command, { abortSignal: signal }),
    )
    return answer.Item === undefined ? undefined : objectOf(answer.Item)
  }
}

function attributeOf({ type, text }: DynamoDbKey): AttributeValue {
  return type === 'N' ? { N: text } : { S: text }
}

function objectOf(attributes: Readonly<Record<string, AttributeValue>>): Value {
  return new Map(Object.entries(attributes).map(([name, value]) => [name, valueOf(value)]))
}

/** DynamoDB's types as JSON: numbers keep their digits, sets become arrays and bytes base64. */
function valueOf(attribute: AttributeValue): Value {
  if (attribute.S !== undefined) return attribute.S
  if (attribute.N !== undefined) return numberFromText(attribute.N)
  if (attribute.BOOL !== undefined) return attribute.BOOL
  if (attribute.NULL !== undefined) return null
  if (attribute.M !== undefined) return objectOf(attribute.M)
  if (attribute.L !== undefined) return attribute.L.map(valueOf)
  if (attribute.B !== undefined) return base64(attribute.B)
  if (attribute.SS !== undefined) return attribute.SS
  if (attribute.NS !== undefined) return attribute.NS.map(numberFromText)
  return attribute.BS?.map(base64)
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
