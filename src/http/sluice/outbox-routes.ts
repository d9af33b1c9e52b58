import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { Producer } from '../../delivery/producer.ts'
import type { Outbox } from '../../outbox/outbox.ts'
import type { HttpApp } from '../server/http-app.ts'
import {
  countSchema,
  countsSchema,
  destinationMembers,
  ledgerSchema,
  shownDestination,
} from './record-schemas.ts'

/** Which records wait for delivery. */
export interface OutboxRouteDependencies {
  readonly outbox: Pick<
    Outbox,
    'ledgerTotals' | 'size' | 'limits' | 'destinations' | 'oldestAgeMs' | 'deadLetters'
  >
  /** How the delivery to a destination goes. */
  readonly deliveryOf: Producer['stateOf']
}

/** Destinations that one answer shows; all for which records wait are shown. */
const shownMax = 200

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
        ledger: Type.Object(ledgerSchema.properties, {
          description: 'accepted = delivered + queued + deadLettered + dropped.',
        }),
      }),
    },
    errors: ['InternalException'],
  },
} satisfies FastifySchema

export function addOutboxRoutes(
  app: HttpApp,
  { outbox, deliveryOf }: OutboxRouteDependencies,
): void {
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
