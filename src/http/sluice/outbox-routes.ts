import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { Producer } from '../../delivery/producer.ts'
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
    'ledger' | 'ledgerTotals' | 'size' | 'limits' | 'destinations' | 'oldestAgeMs' | 'deadLetters'
  >
  readonly metrics: Pick<Metrics, 'ruleEvaluations' | 'actionFailures'>
  /** How the delivery to a destination goes. */
  readonly deliveryOf: Producer['stateOf']
}

const ledgerNames = [
  'accepted',
  'delivered',
  'queued',
  'deadLettered',
  'dropped',
  'handedOver',
] as const
/** Destinations that one answer shows; all for which records wait are shown. */
const shownMax = 200

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
            ...countsSchema(...ledgerNames).properties,
          }),
        ),
      }),
    },
    errors: ruleReadErrors,
  },
} satisfies FastifySchema

const deliverySchema = Type.Object({
  state: Type.Enum(['delivering', 'throttled', 'retrying', 'refusing']),
  callsInFlight: countSchema,
  throttledShards: countSchema,
  reason: Type.Optional(Type.Object({ code: Type.String(), message: Type.String() })),
  advice: Type.Optional(Type.String({ description: 'What an operator can do about it.' })),
  refusingMs: Type.Optional(countSchema),
  nextTryMs: Type.Optional(countSchema),
})

const getOutbox = {
  operation: {
    id: 'GetOutbox',
    summary: 'Says which records wait for delivery, and how each destination takes them.',
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
            delivery: Type.Optional(deliverySchema),
          }),
          { description: 'Those with the oldest records first.' },
        ),
        furtherDestinations: Type.Integer({
          minimum: 0,
          description: 'Destinations for which nothing waits, beyond those shown.',
        }),
        ledger: Type.Object(countsSchema(...ledgerNames).properties, {
          description: 'accepted = delivered + queued + deadLettered + dropped.',
        }),
      }),
    },
    errors: ['InternalException'],
  },
} satisfies FastifySchema

export function addOutboxRoutes(app: HttpApp, dependencies: OutboxRouteDependencies): void {
  const { rules, outbox, metrics, deliveryOf } = dependencies

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
    const known = outbox.destinations().toSorted((left, right) => right.records - left.records)
    const waiting = known.filter(({ records }) => records > 0).length
    const shown = known.slice(0, Math.max(waiting, shownMax))
    return {
      ...outbox.size(),
      limits: outbox.limits,
      deadLetters: outbox.deadLetters.size(),
      destinations: shown
        .map(({ id, destination, records, bytes }) => {
          const oldestAgeMs = Math.round(outbox.oldestAgeMs(id) ?? 0)
          const delivery = deliveryOf(id)
          return { ...shownDestination(destination), records, bytes, oldestAgeMs, delivery }
        })
        .toSorted((left, right) => right.oldestAgeMs - left.oldestAgeMs),
      furtherDestinations: known.length - shown.length,
      ledger: outbox.ledgerTotals(),
    }
  })
}
