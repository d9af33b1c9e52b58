import { Type } from 'typebox'
import { template } from '../action/action-template.ts'
import { closed, roleArnType, textType } from '../action/field-types.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { lengthBetween, oneOf } from '../action/text-checks.ts'

/** Amazon CloudWatch API Reference, SetAlarmState. */
const alarmName = lengthBetween(1, 255)
const stateReason = lengthBetween(0, 1_023)
const stateValue = oneOf(['OK', 'ALARM', 'INSUFFICIENT_DATA'])

/** Sets the state of an alarm. The output of the rule is not used. */
export const cloudwatchAlarmAction = serviceAction({
  kind: 'cloudwatchAlarm',
  schema: Type.Object(
    { roleArn: roleArnType, alarmName: textType, stateReason: textType, stateValue: textType },
    closed,
  ),
  plan: ({ roleArn, ...definition }) =>
    actionPlan({
      roleArn,
      templates: {
        alarmName: template(definition.alarmName, alarmName),
        stateReason: template(definition.stateReason, stateReason),
        stateValue: template(definition.stateValue, stateValue),
      },
      target: (texts) => texts.alarmName,
      call: (texts) => ({
        operation: 'SetAlarmState',
        parameters: {
          AlarmName: texts.alarmName,
          StateValue: texts.stateValue,
          StateReason: texts.stateReason,
        },
        // The last state must be the last one that is set.
        orderKey: texts.alarmName,
      }),
    }),
})
