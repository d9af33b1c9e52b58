import { Type } from 'typebox'
import { invalidField } from '../../base/errors.ts'
import { template } from '../action/action-template.ts'
import { closed, optionalFlagType, optionalTextType, roleArnType } from '../action/field-types.ts'
import { messagesOf } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { matching } from '../action/text-checks.ts'

/** AWS IoT Analytics API Reference, BatchPutMessage. */
const channelName = matching(
  /^[a-zA-Z0-9_]{1,128}$/,
  'the name of a channel: 1 to 128 letters, digits or "_"',
)
const batchMax = 100

/**
 * Sends the output of the rule to a channel of AWS IoT Analytics, which AWS ended on 15 December
 * 2025. The deprecated `channelArn` may stand in the place of `channelName`.
 */
export const iotAnalyticsAction = serviceAction({
  kind: 'iotAnalytics',
  schema: Type.Object(
    {
      roleArn: Type.Optional(roleArnType),
      channelName: optionalTextType,
      channelArn: optionalTextType,
      batchMode: optionalFlagType,
    },
    closed,
  ),
  faultsOf({ channelName: name, channelArn }, { place, isFaulty }) {
    if (name !== undefined || channelArn !== undefined || isFaulty('channelArn')) return []
    return [invalidField(`${place}.channelName`, ' is missing')]
  },
  plan({ roleArn, channelArn = '', batchMode = false, ...definition }) {
    const name = definition.channelName ?? channelArn.split('/').at(-1)
    return actionPlan({
      roleArn,
      templates: { channelName: template(name ?? '', channelName) },
      target: (texts) => texts.channelName,
      call(texts, { output, newUuid }) {
        const read = messagesOf(output, { batchMode, countMax: batchMax })
        if ('problem' in read) return read
        return {
          operation: 'BatchPutMessage',
          parameters: {
            channelName: texts.channelName,
            messages: read.messages.map((payload) => ({ messageId: newUuid(), payload })),
          },
        }
      },
    })
  },
})
