import type { Clock } from '../base/clock.ts'
import { defined } from '../base/defined.ts'
import type { Redaction } from '../redaction/redaction.ts'
import type { Logger } from '../telemetry/telemetry.ts'

/**
 * The entries on rules that AWS IoT Core writes to CloudWatch, in the log (AWS IoT Developer Guide,
 * "CloudWatch Logs AWS IoT log entries"). Each has AWS's members in AWS's order.
 *
 * Bounds: `entriesPerSecond` entries, and as many with errors, are written; what is left out is
 * counted, and told a second later.
 */
export interface AwsIotLog {
  /** Whether entries of the level DEBUG are written. */
  readonly isVerbose: boolean
  ruleMatch(of: LoggedMessage, ruleName: string): void
  startingRuleExecution(of: LoggedMessage, action: LoggedAction): void
  /** @param failure why the action failed; absent: it succeeded */
  ruleExecution(of: LoggedMessage, action: LoggedAction, failure?: string): void
  functionExecution(of: LoggedMessage, action: LoggedAction, failure: string): void
  ruleNotFound(of: LoggedMessage, ruleName: string): void
  ruleMessageThrottled(of: LoggedMessage, ruleName: string): void
}

interface LoggedMessage {
  /** What `traceid()` gives. */
  readonly messageId: string
  readonly topic: string
  readonly clientId?: string | undefined
  readonly principal?: string | undefined
  /** What is redacted depends on it. */
  readonly payload?: Uint8Array | undefined
}

interface LoggedAction {
  readonly ruleName: string
  /** AWS's name, such as `KinesisAction`. */
  readonly ruleAction: string
  readonly resources?: Readonly<Record<string, string>> | undefined
}

const levels = ['DEBUG', 'INFO', 'WARN', 'ERROR'] as const
type AwsIotLogLevel = (typeof levels)[number]

const entriesPerSecond = 100

interface AwsIotLogDependencies {
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly clock: Clock
  readonly accountIdNow: () => string
  /** Absent: everything is written. */
  readonly redaction?: Redaction | undefined
}

export function createAwsIotLog(
  { logger, clock, accountIdNow, redaction }: AwsIotLogDependencies,
  lowest: AwsIotLogLevel,
): AwsIotLog {
  const room = createRoom(clock, (leftOut) => {
    logger.warn({ leftOut }, "entries of AWS IoT's log were left out")
  })
  const isWritten = (level: AwsIotLogLevel) => levels.indexOf(level) >= levels.indexOf(lowest)

  function write(
    logLevel: 'DEBUG' | 'INFO' | 'ERROR',
    eventType: string,
    { messageId, topic, clientId, principal, payload }: LoggedMessage,
    action: Pick<LoggedAction, 'ruleName'> & Partial<LoggedAction>,
    problem: { readonly reason?: string; readonly details?: string | undefined } = {},
  ): void {
    if (!isWritten(logLevel) || !room.take(logLevel)) return
    const isError = logLevel === 'ERROR'
    const shown = redaction?.of(payload)
    const redacted = <Given>(given: Given) => (shown ? (shown.value(given) as Given) : given)
    const entry = defined({
      timestamp: new Date(clock.wallMs()).toISOString().replace('T', ' ').replace('Z', ''),
      logLevel,
      traceId: messageId,
      accountId: accountIdNow(),
      status: isError ? 'Failure' : 'Success',
      eventType,
      clientId: clientId ?? 'N/A',
      topicName: redacted(topic),
      ...redacted(action),
      principalId: principal ?? 'N/A',
      ...redacted(problem),
    })
    // DEBUG is a level of these entries, and not of what the process says of itself.
    logger[isError ? 'error' : 'info'](entry, `AWS IoT: ${eventType}`)
  }

  return {
    isVerbose: isWritten('DEBUG'),
    ruleMatch: (of, ruleName) => write('INFO', 'RuleMatch', of, { ruleName }),
    startingRuleExecution: (of, { ruleName, ruleAction }) =>
      write('DEBUG', 'StartingRuleExecution', of, { ruleName, ruleAction }),
    ruleExecution(of, action, failure) {
      const level = failure === undefined ? 'INFO' : 'ERROR'
      write(level, 'RuleExecution', of, action, { details: failure })
    },
    functionExecution: (of, action, failure) =>
      write('ERROR', 'FunctionExecution', of, action, { details: failure }),
    ruleNotFound(of, ruleName) {
      const details = `Rule ${ruleName} not found`
      write('ERROR', 'RuleNotFound', of, { ruleName }, { reason: 'RuleNotFound', details })
    },
    ruleMessageThrottled(of, ruleName) {
      const details = `Message for Rule ${ruleName} throttled`
      const reason = 'RuleExecutionThrottled'
      write('ERROR', 'RuleMessageThrottled', of, { ruleName }, { reason, details })
    },
  }
}

/** Errors have room of their own, so that they are seen among many successes. */
function createRoom(clock: Clock, tellLeftOut: (leftOut: number) => void) {
  const left = { other: entriesPerSecond, ERROR: entriesPerSecond }
  let secondEndsMs = -Infinity
  let leftOut = 0

  function tell(): void {
    const count = leftOut
    leftOut = 0
    tellLeftOut(count)
  }

  return {
    take(level: AwsIotLogLevel): boolean {
      const nowMs = clock.monotonicMs()
      if (nowMs >= secondEndsMs) {
        secondEndsMs = nowMs + 1_000
        left.other = entriesPerSecond
        left.ERROR = entriesPerSecond
      }
      const kind = level === 'ERROR' ? level : 'other'
      if (left[kind] > 0) {
        left[kind]--
        return true
      }
      if (leftOut++ === 0) clock.after(1_000, tell)
      return false
    },
  }
}
