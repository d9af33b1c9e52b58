import { Type } from 'typebox'
import { isObject } from '../../sql/values/values.ts'
import { template } from '../action/action-template.ts'
import { closed, regionOfArn, roleArnType, textType } from '../action/field-types.ts'
import { readOutput } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { matching } from '../action/text-checks.ts'

const targetArn = matching(
  /^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:\S+$/,
  'the ARN of a topic or of a mobile endpoint: arn:aws:sns:<region>:<12 digits>:<name>',
)

/**
 * Publishes the output of the rule to a topic or to a mobile endpoint. With `messageFormat` JSON
 * the output holds a text for each protocol, and one under `default`.
 */
export const snsAction = serviceAction({
  kind: 'sns',
  schema: Type.Object(
    {
      roleArn: roleArnType,
      targetArn: textType,
      messageFormat: Type.Optional(Type.Enum(['RAW', 'JSON'])),
    },
    closed,
  ),
  plan: ({ roleArn, targetArn: arn, messageFormat = 'RAW' }) =>
    actionPlan({
      roleArn,
      templates: { targetArn: template(arn, targetArn) },
      target: (texts) => texts.targetArn,
      region: regionOfArn,
      call(texts, { output }) {
        if (texts.targetArn.endsWith('.fifo')) {
          return {
            problem:
              'SNS refuses the message with InvalidParameter: a FIFO topic needs a MessageGroupId, ' +
              'which AWS IoT does not send',
            member: 'targetArn',
          }
        }
        if (messageFormat === 'JSON' && !hasDefaultText(output)) {
          return {
            problem:
              'with messageFormat JSON, SNS takes only an object with a text under "default"; RAW ' +
              'sends any JSON as it is',
            member: 'messageFormat',
          }
        }
        const isEndpoint = texts.targetArn.includes(':endpoint/')
        return {
          operation: 'Publish',
          parameters: {
            [isEndpoint ? 'TargetArn' : 'TopicArn']: texts.targetArn,
            ...(messageFormat === 'JSON' && { MessageStructure: 'json' }),
          },
          body: { member: 'Message', as: 'text' },
        }
      },
    }),
})

/** Amazon SNS API Reference, Publish: MessageStructure. */
function hasDefaultText(output: Buffer): boolean {
  const value = readOutput(output)
  return isObject(value) && typeof value.get('default') === 'string'
}
