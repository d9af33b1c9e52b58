import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { EventSourceMappings } from '../../event-source/event-source-mappings.ts'
import type { Redaction } from '../../redaction/redaction.ts'
import type { HttpApp } from '../server/http-app.ts'
import { ruleReadErrors } from './sluice-api.ts'
import type { PayloadOptions } from './sluice-api.ts'

export interface MappingBatchDependencies {
  readonly mappingBatches: EventSourceMappings['recentBatches']
  readonly redaction?: Redaction | undefined
}

const listMappingBatches = {
  params: Type.Object({ uuid: Type.String({ pattern: '^[0-9A-Fa-f-]{1,64}$' }) }),
  operation: {
    id: 'ListMappingBatches',
    summary: 'Lists the last 20 batches of an event source mapping, the newest first.',
    answer: {
      description: 'The invocations since the start of the process.',
      schema: Type.Object({
        batches: Type.Array(
          Type.Object({
            at: Type.String({ description: 'When the function was invoked: RFC 3339, in UTC.' }),
            shardId: Type.String(),
            records: Type.Integer({ description: '0 for the final invocation of a window.' }),
            durationMs: Type.Number(),
            iteratorAgeMs: Type.Optional(
              Type.Number({
                description:
                  'The age of the last record when the function was invoked; absent without records.',
              }),
            ),
            outcome: Type.Enum(['succeeded', 'partlyFailed', 'failed', 'notInvoked'], {
              description: '`partlyFailed`: the function reported some records as failed.',
            }),
            givenUp: Type.Integer({
              description: 'Records that are not tried again because of this invocation.',
            }),
            reason: Type.Optional(
              Type.String({ description: 'Why it did not succeed: at most 400 characters.' }),
            ),
            reasonLeftOut: Type.Optional(
              Type.Enum(['notAllowed', 'redacted'], {
                description:
                  'A function may quote records in its error. `notAllowed`: the policy of the ' +
                  'caller does not allow `sluice:ReadPayloads`. `redacted`: `SLUICE_REDACT` is set.',
              }),
            ),
          }),
        ),
      }),
    },
    errors: ruleReadErrors,
  },
} satisfies FastifySchema

export function addMappingBatchRoute(
  app: HttpApp,
  { mappingBatches, redaction }: MappingBatchDependencies,
  { mayReadPayloads }: PayloadOptions,
): void {
  const path = '/v1/event-source-mappings/:uuid/batches'
  app.get(path, { schema: listMappingBatches }, (request) => {
    const batches = mappingBatches(request.params.uuid)
    const leftOut = mayReadPayloads(request) ? redaction && 'redacted' : 'notAllowed'
    if (leftOut === undefined) return { batches }
    return {
      batches: batches.map(({ reason, ...batch }) =>
        reason === undefined ? batch : { ...batch, reasonLeftOut: leftOut },
      ),
    }
  })
}
