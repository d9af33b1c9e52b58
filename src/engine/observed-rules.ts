import type { ActionOutcome } from '../actions/action/action.ts'
import type { Message } from '../message.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import type { MessageDocument } from '../sql/sql.ts'
import type { MessageSpans } from '../traces/message-traces.ts'
import type { AwsIotLog } from '../watch/aws-iot-log.ts'
import type { MessageWatch } from '../watch/message-watch.ts'
import { logRules } from './logged-rules.ts'
import type { RuleOutcome, Subject } from './run-rule.ts'
import { traceRules } from './traced-rules.ts'
import { watchRules } from './watched-rules.ts'

/** Observes what rules make of one message. */
export interface RuleObserver {
  /** A rule is about to run. */
  begin?(rule: CompiledRule): void
  outcome(rule: CompiledRule, document: MessageDocument, outcome: RuleOutcome): void
  errorAction(rule: CompiledRule, outcome: ActionOutcome): void
  /** All rules have run. */
  ended(): void
}

/** The observers of messages. Plain members, because they are read for every message. */
export interface Observers {
  readonly watch: MessageWatch
  readonly traces: MessageSpans | undefined
  readonly awsIotLog: AwsIotLog | undefined
  /** Whether there is an observer beside `watch`. */
  readonly hasOthers: boolean
}

/** The same subject, with the observers of the message. */
export function observed(
  { watch, traces, awsIotLog }: Observers,
  message: Message,
  subject: Subject,
  rules: readonly CompiledRule[],
): Subject {
  const { source } = subject
  const observers = [
    watch.active ? watchRules(watch, message, source, rules) : undefined,
    traces && traceRules(traces, message, source, rules),
    awsIotLog && logRules(awsIotLog, source),
  ].filter((one) => one !== undefined)
  const [only] = observers
  if (only === undefined) return subject
  return { ...subject, observer: observers.length === 1 ? only : together(observers) }
}

function together(observers: readonly RuleObserver[]): RuleObserver {
  return {
    begin(rule) {
      for (const one of observers) one.begin?.(rule)
    },
    outcome(...told) {
      for (const one of observers) one.outcome(...told)
    },
    errorAction(...told) {
      for (const one of observers) one.errorAction(...told)
    },
    ended() {
      for (const one of observers) one.ended()
    },
  }
}
