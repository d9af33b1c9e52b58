import { Type } from 'typebox'
import { template } from '../action/action-template.ts'
import { NotAnAttribute, attributesOf } from '../action/dynamodb-item.ts'
import { closed, roleArnType, textType } from '../action/field-types.ts'
import { notAnObject, readObjectOutput } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { tableName } from '../action/text-checks.ts'

/**
 * Writes the output of the rule as one item: each member is an attribute, and the keys of the table
 * are among them. Which members they are is not known here, so the messages of one topic are
 * written in order.
 */
export const dynamodbV2Action = serviceAction({
  kind: 'dynamoDBv2',
  schema: Type.Object(
    { roleArn: roleArnType, putItem: Type.Object({ tableName: textType }, closed) },
    closed,
  ),
  plan: ({ roleArn, putItem }) =>
    actionPlan({
      roleArn,
      templates: { putItem: { tableName: template(putItem.tableName, tableName) } },
      target: (texts) => texts.putItem.tableName,
      call(texts, { output, source }) {
        const item = readObjectOutput(output)
        if (item === undefined) return { problem: notAnObject }
        try {
          return {
            operation: 'PutItem',
            parameters: { TableName: texts.putItem.tableName, Item: attributesOf(item) },
            orderKey: source.topic,
          }
        } catch (thrown) {
          if (!(thrown instanceof NotAnAttribute)) throw thrown
          return { problem: thrown.message }
        }
      },
    }),
})
