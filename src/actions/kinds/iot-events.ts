import { Type } from 'typebox'
import { optionalTemplate, template } from '../action/action-template.ts'
import {
  closed,
  optionalFlagType,
  optionalTextType,
  roleArnType,
  textType,
} from '../action/field-types.ts'
import { messagesOf } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { lengthBetween, matching } from '../action/text-checks.ts'
import { invalidField } from '../../base/errors.ts'

/** AWS IoT Events API Reference, BatchPutMessage. */
const inputName = lengthBetween(1, 128)
const messageId = matching(
  /^[a-zA-Z0-9_-]{1,64}$/,
  'a message id: 1 to 64 letters, digits, "_" or "-"',
)
const batchMax = 10

/** Sends the output of the rule to an input of AWS IoT Events, which AWS ended on 20 May 2026. */
export const iotEventsAction = serviceAction({
  kind: 'iotEvents',
  schema: Type.Object(
    {
      roleArn: roleArnType,
      inputName: textType,
      messageId: optionalTextType,
      batchMode: optionalFlagType,
    },
    closed,
  ),
  faultsOf({ batchMode = false, messageId: id }, { place }) {
    if (!batchMode || !id) return []
    return [invalidField(`${place}.messageId`, ' cannot be given with batchMode')]
  },
  plan({ roleArn, batchMode = false, ...definition }) {
    return actionPlan({
      roleArn,
      templates: {
        inputName: template(definition.inputName, inputName),
        messageId: optionalTemplate(definition.messageId || undefined, messageId),
      },
      target: (texts) => texts.inputName,
      call(texts, { output, newUuid }) {
        const read = messagesOf(output, { batchMode, countMax: batchMax })
        if ('problem' in read) return read
        return {
          operation: 'BatchPutMessage',
          parameters: {
            messages: read.messages.map((payload) => ({
              messageId: texts.messageId ?? newUuid(),
              inputName: texts.inputName,
              payload,
            })),
          },
        }
      },
    })
  },
})
