import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { ManagedOutbox } from '../../outbox/managed-outbox.ts'
import { actionLabel } from '../../outbox/outbox.ts'
import type { ActionLedger } from '../../outbox/outbox.ts'
import type { RuleStore } from '../../rules/rule-store.ts'
import type { LastFailure } from '../../telemetry/rule-statistics.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'
import type { HttpApp } from '../server/http-app.ts'
import { epochMs, nextTokenSchema } from '../server/operation.ts'
import { actionSchema, countSchema, countsSchema, ledgerSchema } from './record-schemas.ts'
import { existingRule, ruleParams } from './rule-delivery.ts'
import { readErrors, ruleReadErrors } from './sluice-api.ts'

/** What became of the messages and records of one rule, or of all rules. */
export interface RuleStatisticsRouteDependencies {
  readonly rules: Pick<RuleStore, 'byName' | 'list'>
  readonly outbox: Pick<ManagedOutbox, 'ledger'>
  readonly metrics: Pick<Metrics, 'ruleStatistics'>
}

const lastFailureSchema = Type.Optional(
  Type.Object(
    {
      atMs: epochMs('Epoch milliseconds.'),
      code: Type.String(),
      reason: Type.String(),
      state: Type.Enum(['failed', 'retried', 'givenUp'], {
        description:
          '`failed`: nothing was made of the message. `retried`: the record waits and is sent ' +
          'again. `givenUp`: it went to the error action or became a dead letter.',
      }),
    },
    { description: 'Since the start of the process; absent while nothing has failed.' },
  ),
)

const ruleStatisticsSchema = Type.Object({
  ruleName: Type.String(),
  evaluations: countsSchema('matched', 'unmatched', 'failed'),
  lastFailure: lastFailureSchema,
  actionFailures: Type.Record(Type.String(), countSchema),
  actions: Type.Array(
    Type.Object({
      action: actionSchema,
      ...ledgerSchema.properties,
      lastFailure: lastFailureSchema,
    }),
  ),
})

const getRuleStatistics = {
  params: ruleParams,
  operation: {
    id: 'GetRuleStatistics',
    summary: 'Counts what became of the messages and records of a rule, and says what failed last.',
    answer: { description: 'The counters.', schema: ruleStatisticsSchema },
    errors: ruleReadErrors,
  },
} satisfies FastifySchema

const listRuleStatistics = {
  querystring: Type.Object({
    maxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: 250 })),
    nextToken: Type.Optional(Type.String()),
  }),
  operation: {
    id: 'ListRuleStatistics',
    summary: 'Gives the counters of all rules, in the order of their names.',
    answer: {
      description: 'A page.',
      schema: Type.Object({ rules: Type.Array(ruleStatisticsSchema), nextToken: nextTokenSchema }),
    },
    errors: readErrors,
  },
} satisfies FastifySchema

const pageSizeDefault = 100

export function addRuleStatisticsRoutes(
  app: HttpApp,
  dependencies: RuleStatisticsRouteDependencies,
): void {
  const { rules, outbox } = dependencies

  app.get('/v1/rules/stats', { schema: listRuleStatistics }, async (request) => {
    const { maxResults = pageSizeDefault, nextToken } = request.query
    const page = rules.list({ maxResults, nextToken })
    const shown = page.rules.map(async ({ name }) =>
      statisticsOf(dependencies, name, await outbox.ledger(name)),
    )
    return { rules: await Promise.all(shown), nextToken: page.nextToken }
  })

  app.get('/v1/rules/:ruleName/stats', { schema: getRuleStatistics }, async (request) => {
    const { ruleName } = request.params
    const ledger = await outbox.ledger(ruleName)
    if (ledger.length === 0) existingRule(rules, ruleName)
    return statisticsOf(dependencies, ruleName, ledger)
  })
}

const noLedger = {
  accepted: 0,
  delivered: 0,
  queued: 0,
  deadLettered: 0,
  dropped: 0,
  handedOver: 0,
}

/** The ledger outlives the process and the rule; all else is counted since the start. */
function statisticsOf(
  { metrics }: Pick<RuleStatisticsRouteDependencies, 'metrics'>,
  ruleName: string,
  ledger: readonly ActionLedger[],
) {
  const counted = metrics.ruleStatistics.byRule.get(ruleName)
  const { matched = 0, unmatched = 0, failed = 0, actions: ofActions = new Map() } = counted ?? {}
  const rest = new Map<string, { readonly lastFailure: LastFailure | undefined }>(ofActions)
  const recorded = ledger.map(({ actionIndex, ...counts }) => {
    const label = actionLabel(actionIndex)
    const lastFailure = rest.get(label)?.lastFailure
    rest.delete(label)
    return { action: actionShown(label), ...counts, lastFailure }
  })
  // Of an action that made no record yet only its failures are known.
  const unrecorded = Array.from(rest, ([label, { lastFailure }]) => {
    return { action: actionShown(label), ...noLedger, lastFailure }
  }).filter(({ lastFailure }) => lastFailure !== undefined)
  const failures = [...(counted?.actions ?? [])].filter(([, { failed: count }]) => count > 0)
  return {
    ruleName,
    evaluations: { matched, unmatched, failed },
    lastFailure: counted?.lastFailure,
    actionFailures: Object.fromEntries(
      failures.map(([label, { failed: count }]) => [label, count]),
    ),
    actions: [...recorded, ...unrecorded],
  }
}

const actionShown = (label: string): number | 'errorAction' =>
  label === 'errorAction' ? label : Number(label)
