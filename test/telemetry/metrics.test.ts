import { describe, expect, test } from 'vitest'
import { createLogger } from '../../src/telemetry/logger.ts'
import { createTimedLogLevel } from '../../src/telemetry/log-levels.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'
import { engineWith, kinesis, republish, ruleWith } from '../helpers/engine-parts.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { messageWith } from '../helpers/messages.ts'

/** The lines of the page that begin so. */
async function linesOf({ registry }: ReturnType<typeof createMetrics>, start: string) {
  const text = await registry.metrics()
  return text.split('\n').filter((line) => line.startsWith(start))
}

describe("AWS IoT's metrics", () => {
  const hot = ruleWith('hot', "SELECT n FROM 'a' WHERE n > 1", [
    kinesis({ partitionKey: 'k' }),
    kinesis({ partitionKey: '${nothing}' }),
    republish('b'),
  ])
  const raw = ruleWith('raw', "SELECT * FROM 'a'", [kinesis({ partitionKey: 'k' })])

  test('count messages and actions by rule', async () => {
    const { engine, metrics } = engineWith([hot, raw])
    for (const n of [1, 2, 3]) await engine.ingest(messageWith({ topic: 'a', payload: { n } }))
    for (const bytes of ['no JSON', '']) {
      await engine.ingest(messageWith({ topic: 'a', payload: Buffer.from(bytes) }))
    }
    await engine.ingest(messageWith({ topic: 'x', basicIngestRule: 'absent' }))
    metrics.recordsDelivered.inc({ rule: 'hot', action: '0' }, 2)
    const lines = await linesOf(metrics, 'sluice_aws_iot_metric_total{')
    expect(lines.map((line) => line.replace('sluice_aws_iot_metric_total', ''))).toEqual([
      '{metric="TopicMatch",rule="hot"} 5',
      '{metric="RulesExecuted",rule="hot"} 5',
      '{metric="ParseError",rule="hot"} 1',
      '{metric="RuleMessageThrottled",rule="hot"} 0',
      '{metric="TopicMatch",rule="raw"} 5',
      '{metric="RulesExecuted",rule="raw"} 5',
      '{metric="ParseError",rule="raw"} 0',
      '{metric="RuleMessageThrottled",rule="raw"} 0',
      '{metric="RuleNotFound",rule="absent"} 1',
      '{metric="Success",rule="hot",action="0"} 2',
      '{metric="Failure",rule="hot",action="0"} 0',
      '{metric="Success",rule="hot",action="1"} 0',
      '{metric="Failure",rule="hot",action="1"} 2',
      '{metric="Success",rule="hot",action="2"} 2',
      '{metric="Failure",rule="hot",action="2"} 0',
    ])
  })

  test('have names of their own for error actions', async () => {
    const failing = [kinesis({ partitionKey: '${nothing}' })]
    const { engine, metrics } = engineWith([
      ruleWith('told', "SELECT * FROM 'a'", failing, { errorAction: republish('errors') }),
      ruleWith('untold', "SELECT * FROM 'a'", failing, { errorAction: failing[0] }),
    ])
    await engine.ingest(messageWith({ topic: 'a' }))
    expect(await linesOf(metrics, 'sluice_aws_iot_metric_total{metric="ErrorAction')).toEqual([
      'sluice_aws_iot_metric_total{metric="ErrorActionSuccess",rule="told",action="errorAction"} 1',
      'sluice_aws_iot_metric_total{metric="ErrorActionFailure",rule="told",action="errorAction"} 0',
      'sluice_aws_iot_metric_total{metric="ErrorActionSuccess",rule="untold",action="errorAction"} 0',
      'sluice_aws_iot_metric_total{metric="ErrorActionFailure",rule="untold",action="errorAction"} 1',
    ])
  })
})

describe('label sets are bounded', () => {
  test('in counters, in what is counted for rules, and in gauges', async () => {
    const metrics = createMetrics()
    for (let n = 0; n < 2_100; n++) {
      metrics.recordsAccepted.inc({ rule: `r${n}`, action: '0' })
      metrics.ruleStatistics.of(`r${n}`).matched = 2
    }
    metrics.outboxOldestAge.readFrom(() =>
      Array.from({ length: 2_003 }, (_, n) => ({ labels: { stream: `s${n}` }, value: n })),
    )
    const text = await metrics.registry.metrics()
    expect(text.match(/^sluice_records_accepted_total\{/gm)).toHaveLength(2_001)
    expect(text).toContain('sluice_records_accepted_total{rule="other",action="other"} 100\n')
    expect(text).toContain('sluice_rule_evaluations_total{rule="other",result="matched"} 200\n')
    expect(text).toContain('sluice_aws_iot_metric_total{metric="TopicMatch",rule="other"} 200\n')
    expect(text).toContain('sluice_outbox_oldest_age_seconds{stream="other"} 2002\n')
  })

  test('of rules that clients name and nobody has', async () => {
    const metrics = createMetrics()
    for (let n = 0; n < 500; n++) metrics.ruleStatistics.ruleNotFound(`n${n}`)
    const lines = await linesOf(metrics, 'sluice_aws_iot_metric_total{metric="RuleNotFound"')
    expect(lines).toHaveLength(101)
    expect(lines.at(-1)).toMatch(/rule="other"\} 400$/)
  })
})

test('the histogram of deliveries has its buckets, sum and count', async () => {
  const metrics = createMetrics()
  const tally = metrics.publishToDelivered.of('kinesis')
  tally.observe(0.005, 2)
  tally.observe(0.3, 1)
  tally.observe(9_000, 1)
  const lines = await linesOf(metrics, 'sluice_publish_to_delivered_seconds')
  expect(lines).toHaveLength(19)
  const name = 'sluice_publish_to_delivered_seconds'
  for (const [le, count] of Object.entries({ '0.005': 2, '0.25': 2, '0.5': 3, '7200': 3 })) {
    expect(lines).toContain(`${name}_bucket{le="${le}",kind="kinesis"} ${count}`)
  }
  expect(lines).toContain(`${name}_bucket{le="+Inf",kind="kinesis"} 4`)
  expect(lines).toContain(`${name}_count{kind="kinesis"} 4`)
  expect(lines).toContain(`${name}_sum{kind="kinesis"} 9000.31`)
})

describe('the level of the log', () => {
  test('changes for a logger and those that it made', async () => {
    const logger = await createLogger('silent', { pretty: false })
    const child = logger.child({ stage: 'ingress' })
    logger.logLevels.set('error')
    expect([logger.logLevels.current(), (child as { level?: string }).level]).toEqual([
      'error',
      'error',
    ])
  })

  test('returns to that of the configuration when its time is over', async () => {
    const lines: unknown[] = []
    const clock = createManualClock()
    const { logLevels: levels } = await createLogger('silent', { pretty: false })
    const logger = createMemoryLogger((line) => lines.push(line))
    const level = createTimedLogLevel({ levels, logger, clock })
    expect(level.set('error', 60_000)).toBe('silent')
    expect(level.current()).toEqual({ level: 'error', untilMs: clock.wallMs() + 60_000 })
    clock.advance(60_000)
    expect(level.current()).toEqual({ level: 'silent' })
    level.set('error', 60_000)
    expect(level.set('error')).toBe('error')
    clock.advance(60_000)
    expect(level.current()).toEqual({ level: 'error' })
    expect(lines).toMatchObject([{ level: 'error' }, {}, {}])
  })
})
