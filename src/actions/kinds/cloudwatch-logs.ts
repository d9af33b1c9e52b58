import { Type } from 'typebox'
import { nearestDouble } from '../../sql/values/numbers.ts'
import { isArray, isNumber, memberOf } from '../../sql/values/values.ts'
import type { Value } from '../../sql/values/values.ts'
import type { SourceMessage } from '../../outbox/outbox.ts'
import { template } from '../action/action-template.ts'
import { closed, optionalFlagType, roleArnType, textType } from '../action/field-types.ts'
import { readOutput } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { matching } from '../action/text-checks.ts'

/** Amazon CloudWatch Logs API Reference, PutLogEvents and InputLogEvent. */
const logGroupName = matching(
  /^[.\-_/#A-Za-z0-9]{1,512}$/,
  'the name of a log group: 1 to 512 letters, digits, ".", "-", "_", "/" or "#"',
)
const eventsMax = 10_000
const batchBytesMax = 1_048_576
const eventOverheadBytes = 26
const spanMsMax = 24 * 3_600_000

interface LogEvent {
  /** Epoch milliseconds. */
  readonly timestamp: number
  readonly message: string
}

type LogEvents = { readonly events: readonly LogEvent[] } | { readonly problem: string }

/**
 * Writes the output of the rule as one log event. With `batchMode` an output that is an array holds
 * events, each with `timestamp` (epoch milliseconds) and `message`.
 *
 * AWS does not document how AWS IoT names the log stream, nor what `batchMode` makes of an output
 * that is no array. Here the stream is `sluice/<rule>`, and the output is one event.
 */
export const cloudwatchLogsAction = serviceAction({
  kind: 'cloudwatchLogs',
  schema: Type.Object(
    { roleArn: roleArnType, logGroupName: textType, batchMode: optionalFlagType },
    closed,
  ),
  plan: ({ roleArn, logGroupName: group, batchMode = false }, { ruleName }) =>
    actionPlan({
      roleArn,
      templates: { logGroupName: template(group, logGroupName) },
      target: (texts) => texts.logGroupName,
      call(texts, { output, source }) {
        const read = batchMode ? eventsIn(output, source) : oneEvent(output, source)
        if ('problem' in read) return read
        return {
          operation: 'PutLogEvents',
          parameters: {
            logGroupName: texts.logGroupName,
            logStreamName: `sluice/${ruleName}`,
            logEvents: read.events.map(({ timestamp, message }) => ({ timestamp, message })),
          },
        }
      },
    }),
})

function oneEvent(output: Buffer, { timestampMs }: SourceMessage): LogEvents {
  return boundEvents([{ timestamp: timestampMs, message: output.toString() }])
}

function eventsIn(output: Buffer, source: SourceMessage): LogEvents {
  const value = readOutput(output)
  if (!isArray(value)) return oneEvent(output, source)
  const events = value.map(eventOf)
  const isComplete = events.every((event): event is LogEvent => event !== undefined)
  if (events.length === 0 || !isComplete) {
    return {
      problem:
        'with batchMode each element of the array must be an event, with a "timestamp" in epoch ' +
        'milliseconds and a text under "message"',
    }
  }
  return boundEvents(events.toSorted((left, right) => left.timestamp - right.timestamp))
}

function eventOf(value: Value): LogEvent | undefined {
  const timestamp = memberOf(value, 'timestamp')
  const message = memberOf(value, 'message')
  if (!isNumber(timestamp) || typeof message !== 'string' || message === '') return undefined
  const ms = nearestDouble(timestamp)
  return Number.isSafeInteger(ms) && ms >= 0 ? { timestamp: ms, message } : undefined
}

/** @param events in the order of time, at least one */
function boundEvents(events: readonly LogEvent[]): LogEvents {
  if (events.length > eventsMax) {
    return { problem: `the array has ${events.length} events; CloudWatch Logs takes ${eventsMax}` }
  }
  const bytes = events.reduce(
    (sum, { message }) => sum + Buffer.byteLength(message) + eventOverheadBytes,
    0,
  )
  if (bytes > batchBytesMax) {
    return { problem: `the events have ${bytes} bytes; CloudWatch Logs takes ${batchBytesMax}` }
  }
  const spanMs = (events.at(-1)?.timestamp ?? 0) - (events[0]?.timestamp ?? 0)
  if (spanMs > spanMsMax) {
    return { problem: 'the events span more than 24 hours, which CloudWatch Logs does not take' }
  }
  return { events }
}
