import { Type } from 'typebox'
import { isArray } from '../../sql/values/values.ts'
import { template } from '../action/action-template.ts'
import { closed, optionalFlagType, roleArnType, textType } from '../action/field-types.ts'
import { batchProblem, elementTexts, readOutput } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { matching } from '../action/text-checks.ts'

/** Amazon Data Firehose API Reference, PutRecord and PutRecordBatch. */
const deliveryStreamName = matching(
  /^[a-zA-Z0-9_.-]{1,64}$/,
  'the name of a Firehose stream: 1 to 64 letters, digits, ".", "_" or "-"',
)
const recordBytesMax = 1_024_000
const batchCountMax = 500

/**
 * Puts the output of the rule into a Firehose stream as one record. With `batchMode` an output that
 * is an array makes one record of each element.
 */
export const firehoseAction = serviceAction({
  kind: 'firehose',
  schema: Type.Object(
    {
      roleArn: roleArnType,
      deliveryStreamName: textType,
      separator: Type.Optional(Type.Enum(['\n', '\t', '\r\n', ','])),
      batchMode: optionalFlagType,
    },
    closed,
  ),
  plan: ({ roleArn, deliveryStreamName: stream, separator = '', batchMode = false }) =>
    actionPlan({
      roleArn,
      templates: { deliveryStreamName: template(stream, deliveryStreamName) },
      target: (texts) => texts.deliveryStreamName,
      call({ deliveryStreamName: DeliveryStreamName }, { output }) {
        const elements = batchMode ? readOutput(output) : undefined
        if (!isArray(elements)) {
          const bytes = output.length + separator.length
          if (bytes > recordBytesMax) {
            return { problem: `the record has ${bytes} bytes; Firehose takes ${recordBytesMax}` }
          }
          return {
            operation: 'PutRecord',
            parameters: { DeliveryStreamName },
            body: { member: 'Record.Data', as: 'bytes', suffix: separator },
          }
        }
        const problem = batchProblem(elements, batchCountMax)
        if (problem !== undefined) return { problem }
        return {
          operation: 'PutRecordBatch',
          parameters: {
            DeliveryStreamName,
            Records: elementTexts(elements).map((element) => ({ Data: element + separator })),
          },
        }
      },
    }),
})
