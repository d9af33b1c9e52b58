import type { Host } from '../terminal/host.ts'
import { onOneLine } from '../terminal/record-line.ts'
import { findEngineApi } from './engine-api.ts'
import type { EngineApi, EngineOptions } from './engine-api.ts'
import { grouped, tableText } from './table-text.ts'

export interface StatsOptions extends EngineOptions {
  readonly json: boolean
}

interface LastFailure {
  readonly atMs: number
  readonly reason: string
  readonly state: keyof typeof stateText
}

/** What is read of GetRuleStatistics. */
interface RuleStatistics {
  readonly ruleName: string
  readonly lastFailure?: LastFailure
  readonly evaluations: Readonly<Record<string, number>>
  readonly actionFailures: Readonly<Record<string, number>>
  readonly actions: readonly (Readonly<Record<(typeof counts)[number], number>> & {
    readonly action: number | string
    readonly lastFailure?: LastFailure
  })[]
}

/** What is read of GetOutbox. */
interface OutboxState {
  readonly records: number
  readonly bytes: number
  readonly deadLetters: { readonly records: number; readonly bytes: number }
  readonly destinations: readonly {
    readonly kind?: string
    readonly streamName?: string
    readonly target?: string
    readonly records: number
    readonly bytes: number
    readonly oldestAgeMs: number
  }[]
}

const counts = ['accepted', 'delivered', 'queued', 'deadLettered', 'dropped', 'handedOver'] as const

/**
 * Prints the counters of one rule or of all, and what waits for delivery.
 *
 * @throws SluiceError (rejects): see `EngineApi`
 */
export async function showStats(
  host: Host,
  rule: string | undefined,
  options: StatsOptions,
): Promise<void> {
  const engine = await findEngineApi(host, options)
  const rules =
    rule === undefined ? await statisticsOfAll(engine) : [await statisticsOf(engine, rule)]
  const outbox = (await engine.call({ path: '/v1/outbox' })) as OutboxState
  host.stdout.write(options.json ? `${JSON.stringify({ rules, outbox })}\n` : textOf(rules, outbox))
}

async function statisticsOf(engine: EngineApi, ruleName: string): Promise<RuleStatistics> {
  const path = `/v1/rules/${encodeURIComponent(ruleName)}/stats`
  return (await engine.call({ path })) as RuleStatistics
}

async function statisticsOfAll(engine: EngineApi): Promise<readonly RuleStatistics[]> {
  const rules: RuleStatistics[] = []
  let nextToken: string | undefined
  do {
    const page = (await engine.call({ path: '/v1/rules/stats', query: { nextToken } })) as {
      readonly rules: readonly RuleStatistics[]
      readonly nextToken?: string
    }
    rules.push(...page.rules)
    nextToken = page.nextToken
  } while (nextToken !== undefined)
  return rules
}

function textOf(rules: readonly RuleStatistics[], outbox: OutboxState): string {
  const evaluated = rules.map(({ ruleName, evaluations }) => [
    ruleName,
    ...['matched', 'unmatched', 'failed'].map((result) => grouped(evaluations[result] ?? 0)),
  ])
  const actions = rules.flatMap(({ ruleName, actionFailures, actions: ofRule }) => {
    const known = new Map(ofRule.map((one) => [String(one.action), one]))
    const labels = [...new Set([...known.keys(), ...Object.keys(actionFailures)])]
    return labels.map((label) => [
      `${ruleName} ${label}`,
      ...counts.map((name) => grouped(known.get(label)?.[name] ?? 0)),
      grouped(actionFailures[label] ?? 0),
    ])
  })
  const failed = rules.flatMap(({ ruleName, lastFailure, actions: ofRule }) => [
    ...failureLines(`${ruleName} sql`, lastFailure),
    ...ofRule.flatMap((one) => failureLines(`${ruleName} ${one.action}`, one.lastFailure)),
  ])
  const waiting = outbox.destinations
    .filter(({ records }) => records > 0)
    .map((destination) => [
      onOneLine(destination.streamName ?? destination.target ?? destination.kind ?? ''),
      grouped(destination.records),
      grouped(destination.bytes),
      seconds(destination.oldestAgeMs),
    ])
  const { deadLetters } = outbox
  return [
    tableText(['rule', 'matched', 'unmatched', 'failed'], evaluated, 'there are no rules'),
    tableText(
      [
        'action',
        'accepted',
        'delivered',
        'queued',
        'dead letters',
        'dropped',
        'handed over',
        'not carried out',
      ],
      actions,
      'no action has made a record',
    ),
    ...(failed.length === 0 ? [] : [failed.join('')]),
    tableText(
      ['destination', 'waiting', 'bytes', 'oldest'],
      waiting,
      'no record waits for delivery',
    ),
    `${grouped(outbox.records)} records wait; ${grouped(deadLetters.records)} dead letters are held\n`,
  ].join('\n')
}

const failureLines = (name: string, failure: LastFailure | undefined): string[] => {
  if (failure === undefined) return []
  const { atMs, state, reason } = failure
  return [
    `last failure of ${name}, ${new Date(atMs).toISOString()}, ${stateText[state]}: ${onOneLine(reason)}\n`,
  ]
}

const stateText = {
  failed: 'nothing was made of the message',
  retried: 'the record is sent again',
  givenUp: 'the record was given up',
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
