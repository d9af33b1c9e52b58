import { Type } from 'typebox'
import { optionalTemplate, template } from '../action/action-template.ts'
import { NotAnAttribute, attributeOf, numberProblem } from '../action/dynamodb-item.ts'
import type { Attribute } from '../action/dynamodb-item.ts'
import { closed, optionalTextType, roleArnType, textType } from '../action/field-types.ts'
import { readOutput } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import type { PlannedCall } from '../action/service-action.ts'
import { lengthBetween, oneOf, tableName } from '../action/text-checks.ts'
import { invalidField } from '../../base/errors.ts'

const schema = Type.Object(
  {
    roleArn: roleArnType,
    tableName: textType,
    hashKeyField: textType,
    hashKeyValue: textType,
    hashKeyType: optionalTextType,
    rangeKeyField: optionalTextType,
    rangeKeyValue: optionalTextType,
    rangeKeyType: optionalTextType,
    payloadField: optionalTextType,
    operation: optionalTextType,
  },
  closed,
)

const keyType = oneOf(['STRING', 'NUMBER'])
const operation = oneOf(['INSERT', 'UPDATE', 'DELETE'])
/** Amazon DynamoDB API Reference, KeySchemaElement. */
const attributeName = lengthBetween(1, 255)

/** An empty text stands for AWS's default, as infrastructure tools write it. */
const orDefault = (given: string | undefined, otherwise: string) => given || otherwise

/**
 * Writes the whole output of the rule into one column of an item, beside the keys of the table.
 * Items with the same keys are written in order.
 */
export const dynamodbAction = serviceAction({
  kind: 'dynamoDB',
  schema,
  faultsOf({ rangeKeyField, rangeKeyValue }, { place }) {
    if ((rangeKeyField === undefined) === (rangeKeyValue === undefined)) return []
    const missing = rangeKeyField === undefined ? 'rangeKeyField' : 'rangeKeyValue'
    const problem = ' is missing: a sort key needs its name and its value'
    return [invalidField(`${place}.${missing}`, problem)]
  },
  plan(definition) {
    return actionPlan({
      roleArn: definition.roleArn,
      templates: {
        tableName: template(definition.tableName, tableName),
        hashKeyField: template(definition.hashKeyField, attributeName),
        hashKeyValue: template(definition.hashKeyValue),
        hashKeyType: template(orDefault(definition.hashKeyType, 'STRING'), keyType),
        rangeKeyField: optionalTemplate(definition.rangeKeyField, attributeName),
        rangeKeyValue: optionalTemplate(definition.rangeKeyValue),
        rangeKeyType: template(orDefault(definition.rangeKeyType, 'STRING'), keyType),
        payloadField: template(orDefault(definition.payloadField, 'payload'), attributeName),
        operation: template(orDefault(definition.operation, 'INSERT'), operation),
      },
      target: (texts) => texts.tableName,
      call(texts, { output }) {
        const { rangeKeyField, rangeKeyValue } = texts
        const hash = keyAttribute(texts.hashKeyValue, texts.hashKeyType)
        if ('problem' in hash) return { ...hash, member: 'hashKeyValue' }
        const key: Record<string, Attribute> = { [texts.hashKeyField]: hash.attribute }
        if (rangeKeyField !== undefined && rangeKeyValue !== undefined) {
          const range = keyAttribute(rangeKeyValue, texts.rangeKeyType)
          if ('problem' in range) return { ...range, member: 'rangeKeyValue' }
          key[rangeKeyField] = range.attribute
        }
        const orderKey = `${texts.hashKeyValue}\n${rangeKeyValue ?? ''}`
        return writeOf(texts, key, output, orderKey)
      },
    })
  },
})

function keyAttribute(
  value: string,
  type: string,
): { readonly attribute: Attribute } | { readonly problem: string } {
  if (type === 'STRING') {
    return value === '' ? { problem: 'the value of the key is empty' } : { attribute: { S: value } }
  }
  const problem = numberProblem(value)
  return problem === undefined ? { attribute: { N: value } } : { problem }
}

interface WriteTexts {
  readonly tableName: string
  readonly payloadField: string
  readonly operation: string
}

/** The write that the operation asks for. DELETE needs the keys alone. */
function writeOf(
  { tableName: TableName, payloadField, operation: name }: WriteTexts,
  key: Readonly<Record<string, Attribute>>,
  output: Buffer,
  orderKey: string,
): PlannedCall {
  if (name === 'DELETE') {
    return { operation: 'DeleteItem', parameters: { TableName, Key: key }, orderKey }
  }
  const payload = payloadAttribute(output, payloadField)
  if ('problem' in payload) return payload
  const { attribute } = payload
  if (name === 'INSERT') {
    const Item = { ...key, [payloadField]: attribute }
    return { operation: 'PutItem', parameters: { TableName, Item }, orderKey }
  }
  return {
    operation: 'UpdateItem',
    parameters: {
      TableName,
      Key: key,
      UpdateExpression: 'SET #payload = :payload',
      ExpressionAttributeNames: { '#payload': payloadField },
      ExpressionAttributeValues: { ':payload': attribute },
    },
    orderKey,
  }
}

/** A map for JSON, binary for anything else. */
function payloadAttribute(
  output: Buffer,
  payloadField: string,
): { readonly attribute: Attribute } | { readonly problem: string } {
  const value = readOutput(output)
  if (value === undefined) return { attribute: { B: { base64: output.toString('base64') } } }
  try {
    return { attribute: attributeOf(value, payloadField) }
  } catch (thrown) {
    if (!(thrown instanceof NotAnAttribute)) throw thrown
    return { problem: thrown.message }
  }
}
