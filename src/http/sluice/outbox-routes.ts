import { errorActionIndex } from '../../outbox/outbox.ts'
import type { Outbox } from '../../outbox/outbox.ts'
import type { RuleStore } from '../../rules/rule-store.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'
import type { HttpApp } from '../server/http-app.ts'
import { existingRule, ruleParams } from './rule-delivery.ts'

/** What became of a rule's records, and what waits: `/v1/rules/{ruleName}/stats`, `/v1/outbox`. */
export interface OutboxRouteDependencies {
  readonly rules: Pick<RuleStore, 'byName'>
  readonly outbox: Pick<
    Outbox,
    'ledger' | 'size' | 'limits' | 'destinations' | 'oldestAgeMs' | 'deadLetters'
  >
  readonly metrics: Pick<Metrics, 'ruleEvaluations' | 'actionFailures'>
}

export function addOutboxRoutes(app: HttpApp, dependencies: OutboxRouteDependencies): void {
  const { rules, outbox, metrics } = dependencies

  // The ledger outlives the process and the rule; what was evaluated is counted from the start on.
  app.get('/v1/rules/:ruleName/stats', { schema: { params: ruleParams } }, async (request) => {
    const { ruleName } = request.params
    const ledger = outbox.ledger(ruleName)
    if (ledger.length === 0) existingRule(rules, ruleName)
    const isOfRule = ({ labels }: { labels: { rule?: string | number } }) =>
      labels.rule === ruleName
    const evaluations = (await metrics.ruleEvaluations.get()).values.filter(isOfRule)
    const failures = (await metrics.actionFailures.get()).values.filter(isOfRule)
    return {
      ruleName,
      evaluations: Object.fromEntries(
        ['matched', 'unmatched', 'failed'].map((result) => [
          result,
          evaluations.find(({ labels }) => labels.result === result)?.value ?? 0,
        ]),
      ),
      actionFailures: Object.fromEntries(
        failures.map(({ labels, value }) => [String(labels.action), value]),
      ),
      actions: ledger.map(({ actionIndex, ...counts }) => {
        return { action: actionOf(actionIndex), ...counts }
      }),
    }
  })

  app.get('/v1/outbox', async () => {
    const waiting = outbox.destinations().filter(({ records }) => records > 0)
    return {
      ...outbox.size(),
      limits: outbox.limits,
      deadLetters: outbox.deadLetters.size(),
      destinations: waiting.map(({ id, destination, records, bytes }) => {
        const oldestAgeMs = Math.round(outbox.oldestAgeMs(id) ?? 0)
        return { ...destination, records, bytes, oldestAgeMs }
      }),
    }
  })
}

/** An action as it is called over HTTP: its index, or `errorAction`. */
export function actionOf(actionIndex: number): number | 'errorAction' {
  return actionIndex === errorActionIndex ? 'errorAction' : actionIndex
}
