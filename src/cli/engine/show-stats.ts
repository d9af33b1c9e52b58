import type { Host } from '../terminal/host.ts'
import { onOneLine } from '../terminal/record-line.ts'
import { findEngineApi } from './engine-api.ts'
import type { EngineApi, EngineOptions } from './engine-api.ts'
import { tableText } from './table-text.ts'

export interface StatsOptions extends EngineOptions {
  readonly json: boolean
}

/** What is read of GetRuleStatistics. */
interface RuleStatistics {
  readonly ruleName: string
  readonly evaluations: Readonly<Record<string, number>>
  readonly actionFailures: Readonly<Record<string, number>>
  readonly actions: readonly Readonly<Record<string, number | string>>[]
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
  const names = rule === undefined ? await ruleNames(engine) : [rule]
  const rules: RuleStatistics[] = []
  for (const name of names) {
    const path = `/v1/rules/${encodeURIComponent(name)}/stats`
    rules.push((await engine.call({ path })) as RuleStatistics)
  }
  const outbox = (await engine.call({ path: '/v1/outbox' })) as OutboxState
  host.stdout.write(options.json ? `${JSON.stringify({ rules, outbox })}\n` : textOf(rules, outbox))
}

async function ruleNames(engine: EngineApi): Promise<readonly string[]> {
  const names: string[] = []
  let nextToken: string | undefined
  do {
    const page = (await engine.call({ path: '/rules', query: { nextToken } })) as {
      readonly rules: readonly { readonly ruleName: string }[]
      readonly nextToken?: string
    }
    names.push(...page.rules.map(({ ruleName }) => ruleName))
    nextToken = page.nextToken
  } while (nextToken !== undefined)
  return names
}

function textOf(rules: readonly RuleStatistics[], outbox: OutboxState): string {
  const evaluated = rules.map(({ ruleName, evaluations }) => [
    ruleName,
    ...['matched', 'unmatched', 'failed'].map((result) => grouped(evaluations[result] ?? 0)),
  ])
  const actions = rules.flatMap(({ ruleName, actionFailures, actions: ofRule }) => {
    const known = new Map(ofRule.map((one) => [String(one['action']), one]))
    const labels = [...new Set([...known.keys(), ...Object.keys(actionFailures)])]
    return labels.map((label) => [
      `${ruleName} ${label}`,
      ...counts.map((name) => grouped(Number(known.get(label)?.[name] ?? 0))),
      grouped(actionFailures[label] ?? 0),
    ])
  })
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
    tableText(
      ['destination', 'waiting', 'bytes', 'oldest'],
      waiting,
      'no record waits for delivery',
    ),
    `${grouped(outbox.records)} records wait; ${grouped(deadLetters.records)} dead letters are held\n`,
  ].join('\n')
}

const grouped = (count: number): string => count.toLocaleString('en-US')
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
