import { Type } from 'typebox'
import { writeJson } from '../../sql/values/json-writer.ts'
import { isArray, isNumber, isObject } from '../../sql/values/values.ts'
import type { Value } from '../../sql/values/values.ts'
import { optionalTemplate, template } from '../action/action-template.ts'
import { closed, optionalTextType, roleArnType, textType } from '../action/field-types.ts'
import { notAnObject, outputDialect, readObjectOutput } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { integerBetween, lengthBetween, matching, oneOf } from '../action/text-checks.ts'

/** Amazon Timestream API Reference, WriteRecords. */
const name = matching(
  /^[a-zA-Z0-9_.-]{1,256}$/,
  'the name of a database or a table: 1 to 256 letters, digits, ".", "_" or "-"',
)
const units = ['SECONDS', 'MILLISECONDS', 'MICROSECONDS', 'NANOSECONDS']
const attributesMax = 100
const valueBytesMax = 2_048
const dimensionValue = lengthBetween(1, valueBytesMax)
const time = integerBetween(0n, 9_223_372_036_854_775_807n)

/** Names that Timestream keeps for itself. */
const dimensionNamePattern = '^(?!measure_name$|measure_value|time$|ts_)[^:]{1,256}$'

/**
 * Writes one record for each member of the output of the rule, with the same dimensions and time.
 */
export const timestreamAction = serviceAction({
  kind: 'timestream',
  schema: Type.Object(
    {
      roleArn: roleArnType,
      databaseName: textType,
      tableName: textType,
      dimensions: Type.Array(
        Type.Object(
          { name: Type.String({ pattern: dimensionNamePattern }), value: textType },
          closed,
        ),
        { minItems: 1, maxItems: 128 },
      ),
      timestamp: Type.Optional(Type.Object({ value: textType, unit: optionalTextType }, closed)),
    },
    closed,
  ),
  plan: ({ roleArn, dimensions, timestamp, ...definition }) =>
    actionPlan({
      roleArn,
      templates: {
        databaseName: template(definition.databaseName, name),
        tableName: template(definition.tableName, name),
        dimensions: dimensions.map(({ value }) => ({ value: template(value, dimensionValue) })),
        timestamp: {
          value: optionalTemplate(timestamp?.value, time),
          unit: template(timestamp?.unit || 'MILLISECONDS', oneOf(units)),
        },
      },
      target: (texts) => `${texts.databaseName}/${texts.tableName}`,
      call(texts, { output, source }) {
        const members = readObjectOutput(output)
        if (members === undefined) return { problem: notAnObject }
        if (members.size === 0 || members.size > attributesMax) {
          return {
            problem: `the output has ${members.size} members; the action takes 1 to ${attributesMax}`,
          }
        }
        const measures = Array.from(members, ([measure, value]) => measureOf(measure, value))
        const tooLong = measures.find(
          ({ MeasureValue }) => Buffer.byteLength(MeasureValue) > valueBytesMax,
        )
        if (tooLong !== undefined) {
          return {
            problem: `the value of ${tooLong.MeasureName} has over ${valueBytesMax} bytes, which Timestream does not take`,
          }
        }
        const Dimensions = dimensions.map(({ name: Name }, index) => ({
          Name,
          Value: texts.dimensions[index]?.value ?? '',
        }))
        const { value: Time = String(source.timestampMs), unit: TimeUnit } = texts.timestamp
        return {
          operation: 'WriteRecords',
          parameters: {
            DatabaseName: texts.databaseName,
            TableName: texts.tableName,
            Records: measures.map((measure) => ({ Dimensions, ...measure, Time, TimeUnit })),
          },
        }
      },
    }),
})

/** AWS IoT developer guide, "Timestream": how the types are inferred. */
function measureOf(MeasureName: string, value: Value) {
  return { MeasureName, MeasureValue: textOf(value), MeasureValueType: typeOf(value) }
}

function typeOf(value: Value): string {
  if (typeof value === 'boolean') return 'BOOLEAN'
  if (!isNumber(value)) return 'VARCHAR'
  return value.form === 'integer' ? 'BIGINT' : 'DOUBLE'
}

function textOf(value: Value): string {
  if (typeof value === 'string') return value
  if (isNumber(value)) return value.source ?? ''
  if (isArray(value) || isObject(value)) {
    return writeJson(value, outputDialect, 2 * valueBytesMax) ?? ' '.repeat(valueBytesMax + 1)
  }
  return String(value)
}
