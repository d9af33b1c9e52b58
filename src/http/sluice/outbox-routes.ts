import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { Outbox } from '../../outbox/outbox.ts'
import type { RuleStore } from '../../rules/rule-store.ts'
import type { Metrics } from '../../telemetry/telemetry.ts'
import type { HttpApp } from '../server/http-app.ts'
import {
  actionOf,
  actionSchema,
  countSchema,
  countsSchema,
  destinationMembers,
  shownDestination,
} from './record-schemas.ts'
import { existingRule, ruleParams } from './rule-delivery.ts'
import { ruleReadErrors } from './sluice-api.ts'

/** What became of a rule's records, and which records wait for delivery. */
export interface OutboxRouteDependencies {
  readonly rules: Pick<RuleStore, 'byName'>
  readonly outbox: Pick<
    Outbox,
    'ledger' | 'size' | 'limits' | 'destinations' | 'oldestAgeMs' | 'deadLetters'
  >
  readonly metrics: Pick<Metrics, 'ruleEvaluations' | 'actionFailures'>
}

const getRuleStatistics = {
  params: ruleParams,
  operation: {
    id: 'GetRuleStatistics',
    summary: 'Counts what became of the messages and records of a rule.',
    answer: {
      description: 'The counters.',
      schema: Type.Object({
        ruleName: Type.String(),
        evaluations: countsSchema('matched', 'unmatched', 'failed'),
        actionFailures: Type.Record(Type.String(), countSchema),
        actions: Type.Array(
          Type.Object({
            action: actionSchema,
            ...countsSchema(
              'accepted',
              'delivered',
              'queued',
              'deadLettered',
              'dropped',
              'handedOver',
            ).properties,
          }),
        ),
      }),
    },
    errors: ruleReadErrors,
  },
} satisfies FastifySchema

const getOutbox = {
  operation: {
    id: 'GetOutbox',
    summary: 'Says which records wait for delivery, by destination.',
    answer: {
      description: 'Records, bytes and ages.',
      schema: Type.Object({
        records: countSchema,
        bytes: countSchema,
        limits: countsSchema(
          'bytesMax',
          'destinationBytesMax',
          'destinationsMax',
          'deadLetterBytesMax',
        ),
        deadLetters: countsSchema('records', 'bytes'),
        destinations: Type.Array(
          Type.Object({
            ...destinationMembers,
            records: countSchema,
            bytes: countSchema,
            oldestAgeMs: countSchema,
          }),
        ),
      }),
    },
    errors: ['InternalException'],
  },
} satisfies FastifySchema

export function addOutboxRoutes(app: HttpApp, dependencies: OutboxRouteDependencies): void {
  const { rules, outbox, metrics } = dependencies

  // The ledger outlives the process and the rule; evaluations are counted since the start.
  app.get('/v1/rules/:ruleName/stats', { schema: getRuleStatistics }, async (request) => {
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

  app.get('/v1/outbox', { schema: getOutbox }, async () => {
    const waiting = outbox.destinations().filter(({ records }) => records > 0)
    return {
      ...outbox.size(),
      limits: outbox.limits,
      deadLetters: outbox.deadLetters.size(),
      destinations: waiting.map(({ id, destination, records, bytes }) => {
        const oldestAgeMs = Math.round(outbox.oldestAgeMs(id) ?? 0)
        return { ...shownDestination(destination), records, bytes, oldestAgeMs }
      }),
    }
  })
}
