import { Type } from 'typebox'
import { template } from '../action/action-template.ts'
import { closed, optionalFlagType, roleArnType, textType } from '../action/field-types.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { matching } from '../action/text-checks.ts'

const queueUrl = matching(
  /^https?:\/\/[^/?#\s]+\/\S+$/,
  'the URL of a queue: https://sqs.<region>.amazonaws.com/<12 digits>/<name> (not its ARN)',
)

/** Amazon SQS API Reference, SendMessage: the characters that a message may hold. */
const refusedCharacter = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u

/** Sends the output of the rule to a standard queue, as text or as base64. */
export const sqsAction = serviceAction({
  kind: 'sqs',
  schema: Type.Object(
    { roleArn: roleArnType, queueUrl: textType, useBase64: optionalFlagType },
    closed,
  ),
  plan: ({ roleArn, queueUrl: url, useBase64 = false }) =>
    actionPlan({
      roleArn,
      templates: { queueUrl: template(url, queueUrl) },
      target: (texts) => texts.queueUrl,
      region: regionOfQueue,
      call(texts, { output }) {
        if (texts.queueUrl.endsWith('.fifo')) {
          return {
            problem:
              'SQS refuses the message with MissingParameter: a FIFO queue needs a MessageGroupId, ' +
              'which AWS IoT does not send',
            member: 'queueUrl',
          }
        }
        if (!useBase64 && refusedCharacter.test(output.toString())) {
          return {
            problem: 'SQS does not take the control characters of the output: set useBase64',
          }
        }
        return {
          operation: 'SendMessage',
          parameters: { QueueUrl: texts.queueUrl },
          body: { member: 'MessageBody', as: useBase64 ? 'base64' : 'text' },
        }
      },
    }),
})

/** `eu-west-1` of `https://sqs.eu-west-1.amazonaws.com/...` and of the older form of such hosts. */
function regionOfQueue(url: string): string | undefined {
  const { hostname } = new URL(url)
  return /^(?:sqs\.)?([a-z]{2}(?:-[a-z]+)+-\d)\.(?:queue\.)?amazonaws\.com/.exec(hostname)?.[1]
}
