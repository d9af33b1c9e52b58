import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { compileActions } from '../../src/actions/compile-actions.ts'
import type { Clock } from '../../src/base/clock.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createRuleCompiler } from '../../src/rules/compile-rule.ts'
import type { CompileRule } from '../../src/rules/compile-rule.ts'
import type { TopicRulePayload } from '../../src/rules/payload.ts'
import { openRuleStore } from '../../src/rules/rule-store.ts'
import type { RuleStore, RuleStoreOptions } from '../../src/rules/rule-store.ts'
import { compileStatement } from '../../src/sql/sql.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'
import type { Metrics } from '../../src/telemetry/telemetry.ts'

export const roleArn = 'arn:aws:iam::123456789012:role/iot-to-kinesis'

/** A payload with one Kinesis action; `filter` undefined leaves FROM away. */
export function payloadOf(
  filter: string | undefined = 'dt/+/telemetry',
  members: Partial<TopicRulePayload> = {},
): TopicRulePayload {
  return {
    sql: filter === undefined ? 'SELECT *' : `SELECT * FROM '${filter}'`,
    actions: [{ kinesis: { roleArn, streamName: 'telemetry', partitionKey: 'device' } }],
    ruleDisabled: false,
    awsIotSqlVersion: '2016-03-23',
    ...members,
  }
}

export const compile: CompileRule = createRuleCompiler(
  { compileStatement, compileActions },
  { region: 'eu-central-1', accountId: '123456789012' },
)

/** An empty folder that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-rules-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export interface OpenedStore {
  readonly store: RuleStore
  readonly directory: string
  readonly metrics: Metrics
  /** Messages of the log so far. */
  readonly logged: string[]
  /** Resolves with the first logged message that matches. */
  readonly logLine: (pattern: RegExp) => Promise<string>
}

export async function openStore(
  options: Partial<RuleStoreOptions> & { clock?: Clock } = {},
): Promise<OpenedStore> {
  const directory = options.directory ?? (await temporaryFolder())
  const metrics = createMetrics()
  const logged: string[] = []
  const waiting = new Set<() => void>()
  const logger = createMemoryLogger((line) => {
    logged.push(String(line['msg']))
    for (const look of waiting) look()
  })
  const store = await openRuleStore(
    { compile, logger, metrics, clock: options.clock ?? systemClock },
    { rulesMax: 1_000, watch: false, ...options, directory },
  )
  onTestFinished(() => store.close())
  const logLine = (pattern: RegExp) =>
    new Promise<string>((resolve) => {
      const look = () => {
        const found = logged.find((message) => pattern.test(message))
        if (found === undefined) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      look()
    })
  return { store, directory, metrics, logged, logLine }
}
