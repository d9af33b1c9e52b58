import { Type } from 'typebox'
import { invalidRequest } from '../../base/errors.ts'
import { errorActionIndex } from '../../outbox/outbox.ts'
import { isArray, isObject } from '../../sql/values/values.ts'
import { fieldOfAction } from '../action/action.ts'
import { optionalTemplate } from '../action/action-template.ts'
import { closed, optionalFlagType, roleArnType } from '../action/field-types.ts'
import { readOutput } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'

/** AWS IoT API Reference, InfluxDBAction. */
const destinationArn = Type.String({
  pattern: '^arn:aws[a-z-]*:iot:[a-z0-9-]+:[0-9]{12}:ruledestination/influxdb/\\S+$',
})
const batchConfig = Type.Object(
  {
    maxBatchSize: Type.Optional(Type.Integer({ minimum: 1, maximum: 500 })),
    maxBatchOpenMs: Type.Optional(Type.Integer({ minimum: 5, maximum: 1_000 })),
    maxBatchSizeBytes: Type.Optional(Type.Integer({ minimum: 100, maximum: 131_072 })),
    batchAcrossTopics: optionalFlagType,
  },
  closed,
)
/** `@{meta.id}`: a path into each element of the output, read by the action itself. */
const elementPath = /^@\{[^{}]+\}$/

/** Writes the elements of the output as points of a table. */
export const influxdbAction = serviceAction({
  kind: 'influxDB',
  schema: Type.Object(
    {
      destinationArn,
      roleArn: roleArnType,
      databaseName: Type.String({ pattern: '^[^_"][^"]{1,63}$' }),
      tableName: Type.String({ pattern: '^[^_].*$', maxLength: 1_024 }),
      organization: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
      tags: Type.Optional(Type.Record(Type.String(), Type.String(), { maxProperties: 498 })),
      timestampUnit: Type.Optional(Type.Enum(['s', 'ms', 'us', 'ns'])),
      batchConfig: Type.Optional(batchConfig),
    },
    closed,
  ),
  plan({ roleArn, tags = {}, timestampUnit = 'ms', ...definition }, { index }) {
    const place = `${fieldOfAction(index)}.influxDB`
    if (index === errorActionIndex && definition.batchConfig) {
      throw invalidRequest(`${place}.batchConfig: an error action cannot batch`)
    }
    return actionPlan({
      roleArn,
      templates: {
        tableName: elementTemplate(definition.tableName),
        tags: Object.fromEntries(
          Object.entries(tags).map(([name, value]) => [name, elementTemplate(value)]),
        ),
      },
      target: () => `${definition.destinationArn}/${definition.databaseName}`,
      call(texts, { output }) {
        const value = readOutput(output)
        if (!isObject(value) && !(isArray(value) && value.every(isObject))) {
          return { problem: 'the output of the rule is neither an object nor an array of objects' }
        }
        return {
          operation: 'Write',
          parameters: {
            databaseName: definition.databaseName,
            tableName: texts.tableName ?? definition.tableName,
            tags: Object.fromEntries(
              Object.entries(tags).map(([name, path]) => [name, texts.tags[name] ?? path]),
            ),
            timestampUnit,
            ...(definition.organization !== undefined && { organization: definition.organization }),
          },
          body: { member: 'body', as: 'text' },
        }
      },
    })
  },
})

/** A path into the elements is no template of the rule: it stays as it is. */
function elementTemplate(text: string) {
  return optionalTemplate(elementPath.test(text) ? undefined : text)
}
