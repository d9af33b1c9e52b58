import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { ManagedOutbox } from '../../outbox/managed-outbox.ts'
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
  readonly outbox: Pick<ManagedOutbox, 'overview'>
}

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

export function addOutboxRoutes(app: HttpApp, { outbox }: OutboxRouteDependencies): void {
  app.get('/v1/outbox', { schema: getOutbox }, async () => {
    const overview = await outbox.overview()
    const destinations = overview.destinations.map(({ destination, ...figures }) => {
      return { ...shownDestination(destination), ...figures }
    })
    return { ...overview, destinations }
  })
}
