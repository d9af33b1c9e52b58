import type { Sample } from './metric-kinds.ts'
import type { RuleStatisticsBook } from './rule-statistics.ts'

/** The labels of `sluice_aws_iot_metric_total`. */
type AwsIotLabel = 'metric' | 'rule' | 'action'

interface Delivered {
  readonly labels: Partial<Record<'rule' | 'action', string | number>>
  readonly value: number
}

/**
 * The rule metrics and rule action metrics of AWS IoT, computed from counters that are kept anyway
 * (AWS IoT Developer Guide, "AWS IoT metrics and dimensions").
 *
 * A statement that fails counts in TopicMatch and not in RulesExecuted: no action was invoked. An
 * action succeeds when its destination takes the record, or when the message is republished. It
 * fails when it makes nothing of the message, or when its record is given up.
 *
 * @param delivered the values of `sluice_records_delivered_total`
 */
export function* awsIotSamples(
  { byRule, notFound }: RuleStatisticsBook,
  delivered: readonly Delivered[],
): Generator<Sample<AwsIotLabel>> {
  for (const [rule, { matched, unmatched, failed, parseErrors, throttled }] of byRule) {
    yield { labels: { metric: 'TopicMatch', rule }, value: matched + unmatched + failed }
    yield { labels: { metric: 'RulesExecuted', rule }, value: matched + unmatched }
    yield { labels: { metric: 'ParseError', rule }, value: parseErrors }
    yield { labels: { metric: 'RuleMessageThrottled', rule }, value: throttled }
  }
  for (const [rule, count] of notFound) {
    yield { labels: { metric: 'RuleNotFound', rule }, value: count }
  }
  for (const { labels, value } of delivered) {
    const { rule = '', action = '' } = labels
    yield* actionSamples(String(rule), String(action), value, 0)
  }
  for (const [rule, { actions }] of byRule) {
    for (const [action, { failed, givenUp, republished }] of actions) {
      yield* actionSamples(rule, action, republished, failed + givenUp)
    }
  }
}

/** Samples of the same labels are added up. */
function* actionSamples(
  rule: string,
  action: string,
  succeeded: number,
  failed: number,
): Generator<Sample<AwsIotLabel>> {
  const prefix = action === 'errorAction' ? 'ErrorAction' : ''
  yield { labels: { metric: `${prefix}Success`, rule, action }, value: succeeded }
  yield { labels: { metric: `${prefix}Failure`, rule, action }, value: failed }
}
