import { compileActions } from '../../src/actions/compile-actions.ts'
import type { Clock } from '../../src/base/clock.ts'
import { createEngine } from '../../src/engine/engine.ts'
import type { EngineDependencies, EngineOptions } from '../../src/engine/engine.ts'
import type { Message } from '../../src/message.ts'
import type { AppendOptions, NewRecord, Outbox } from '../../src/outbox/outbox.ts'
import { createRuleCompiler } from '../../src/rules/compile-rule.ts'
import type { CompiledRule } from '../../src/rules/compile-rule.ts'
import { parsePayload } from '../../src/rules/payload.ts'
import { ruleFilterMatches } from '../../src/topics/topic-filter.ts'
import { compileStatement } from '../../src/sql/sql.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'
import type { MessageWatch } from '../../src/watch/message-watch.ts'
import { createAwsIotLog } from '../../src/watch/aws-iot-log.ts'
import { createManualClock } from './manual-clock.ts'
import { testEnvironment } from './messages.ts'

const compile = createRuleCompiler(
  { compileStatement, compileActions },
  { region: 'us-east-1', accountId: '123456789012' },
)
export const roleArn = 'arn:aws:iam::123456789012:role/write'

export const kinesis = (members: object = {}) => ({
  kinesis: { roleArn, streamName: 's', ...members },
})
export const republish = (topic: string, members: object = {}) => ({
  republish: { roleArn, topic, ...members },
})

/** A rule of SQL version 2016-03-23. */
export function ruleWith(
  name: string,
  sql: string,
  actions: readonly object[],
  members: object = {},
): CompiledRule {
  const payload = parsePayload({ sql, actions, awsIotSqlVersion: '2016-03-23', ...members })
  return compile({ name, payload, createdAt: 0, tags: {} })
}

/**
 * The engine on these rules; what it would make durable and hand to subscribers is collected.
 * `failed` holds what stands for failed actions.
 */
export function engineWith(
  rules: readonly CompiledRule[],
  given: {
    options?: EngineOptions
    environment?: EngineDependencies['environment']
    admits?: Outbox['admits']
    distribute?: EngineDependencies['distribute']
    /** The level of AWS IoT's log; default: it is not written. */
    awsIotLog?: 'DEBUG' | 'INFO'
    watch?: (clock: Clock) => MessageWatch
    /** The records for which there is no room, when an append may drop them. */
    hasNoRoom?: (record: NewRecord) => boolean
    /** When the records of an append are durable; default: at once. */
    durable?: () => Promise<void>
  } = {},
) {
  const appended: NewRecord[][] = []
  const failed: NewRecord[] = []
  const appendOptions: (AppendOptions | undefined)[] = []
  const distributed: Message[] = []
  const logged: Record<string, unknown>[] = []
  const metrics = createMetrics()
  const clock = createManualClock()
  let failure: Error | undefined
  const logger = createMemoryLogger((line) => logged.push(line))
  const engine = createEngine(
    {
      rules: {
        match: (topic) => rules.filter((rule) => !rule.disabled && isFor(rule, topic)),
        byName: (name) => rules.find((rule) => rule.name === name),
      },
      outbox: {
        async append(records, options) {
          if (failure) throw failure
          const mayDrop = options?.whenFull === 'drop'
          const dropped = records.filter((record) => mayDrop && given.hasNoRoom?.(record) === true)
          if (dropped.length > 0) options?.onDropped?.(dropped)
          const made = records.filter(
            (record) => record.failed === undefined && !dropped.includes(record),
          )
          failed.push(...records.filter((record) => record.failed !== undefined))
          if (made.length > 0) appended.push(made)
          appendOptions.push(options)
          await given.durable?.()
        },
        admits: given.admits ?? (() => true),
      },
      distribute: given.distribute ?? (async (message) => void distributed.push(message)),
      environment: given.environment ?? testEnvironment,
      logger,
      metrics,
      clock,
      watch: given.watch?.(clock),
      awsIotLog:
        given.awsIotLog && createAwsIotLog({ logger, clock, accountIdNow }, given.awsIotLog),
    },
    given.options,
  )
  return {
    engine,
    appended,
    failed,
    appendOptions,
    distributed,
    logged,
    metrics,
    clock,
    failWith: (error: Error | undefined) => {
      failure = error
    },
  }
}

const accountIdNow = () => '123456789012'

function isFor({ statement: { topicFilter } }: CompiledRule, topic: string): boolean {
  return topicFilter !== undefined && ruleFilterMatches(topicFilter, topic)
}

export const keysOf = (records: readonly NewRecord[]): string[] =>
  records.map((record) => record.partitionKey)
