import { Type } from 'typebox'
import { optionalTemplate, template } from '../action/action-template.ts'
import { closed, optionalTextType, roleArnType, textType } from '../action/field-types.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { decimalNumber, integerBetween, matching, oneOf } from '../action/text-checks.ts'
import type { TextCheck } from '../action/action-template.ts'

/** Amazon Location Service API Reference, BatchUpdateDevicePosition. */
const trackerName = matching(
  /^[-._\w]{1,100}$/,
  'the name of a tracker: 1 to 100 letters, digits, "-", "." or "_"',
)
const deviceId = matching(
  /^[-._\p{L}\p{N}]{1,100}$/u,
  'a device id: 1 to 100 letters, digits, "-", "." or "_"',
)
/** Milliseconds in one unit of a timestamp. */
const unitMs = { SECONDS: 1_000, MILLISECONDS: 1, MICROSECONDS: 0.001, NANOSECONDS: 0.000001 }
const units: readonly string[] = Object.keys(unitMs)
const time = integerBetween(0n, 9_223_372_036_854_775_807n)

/** Updates the position of a device. The output of the rule is not used. */
export const locationAction = serviceAction({
  kind: 'location',
  schema: Type.Object(
    {
      roleArn: roleArnType,
      trackerName: textType,
      deviceId: textType,
      latitude: textType,
      longitude: textType,
      timestamp: Type.Optional(Type.Object({ value: textType, unit: optionalTextType }, closed)),
    },
    closed,
  ),
  plan: ({ roleArn, timestamp, ...definition }) =>
    actionPlan({
      roleArn,
      templates: {
        trackerName: template(definition.trackerName, trackerName),
        deviceId: template(definition.deviceId, deviceId),
        latitude: template(definition.latitude, degreesUpTo(90)),
        longitude: template(definition.longitude, degreesUpTo(180)),
        timestamp: {
          value: optionalTemplate(timestamp?.value, time),
          unit: template(timestamp?.unit || 'MILLISECONDS', oneOf(units)),
        },
      },
      target: (texts) => texts.trackerName,
      call(texts, { source }) {
        const { value, unit } = texts.timestamp
        const sampledMs =
          value === undefined
            ? source.timestampMs
            : Number(value) * unitMs[unit as keyof typeof unitMs]
        const SampleTime = isoTime(sampledMs)
        if (SampleTime === undefined) {
          return { problem: `"${value}" is beyond the range of times`, member: 'timestamp.value' }
        }
        return {
          operation: 'BatchUpdateDevicePosition',
          parameters: {
            TrackerName: texts.trackerName,
            Updates: [
              {
                DeviceId: texts.deviceId,
                SampleTime,
                Position: [Number(texts.longitude), Number(texts.latitude)],
              },
            ],
          },
          orderKey: texts.deviceId,
        }
      },
    }),
})

function degreesUpTo(max: number): TextCheck {
  return (value) => {
    const problem = decimalNumber(value)
    if (problem !== undefined || Math.abs(Number(value)) <= max) return problem
    return `${value} is not between -${max} and ${max} degrees`
  }
}

function isoTime(ms: number): string | undefined {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}
