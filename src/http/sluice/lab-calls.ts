import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { RecordedCalls } from '../../lab/calls/recorded-calls.ts'
import { ruleNamePattern } from '../../rules/payload.ts'
import type { HttpApp } from '../server/http-app.ts'
import { readErrors } from './sluice-api.ts'
import type { PayloadOptions } from './sluice-api.ts'

const maxResultsDefault = 100

const listLabCalls = {
  querystring: Type.Object(
    {
      ruleName: Type.Optional(Type.String({ pattern: ruleNamePattern })),
      kind: Type.Optional(Type.String({ description: 'The kind of the action: `sqs`, `s3`.' })),
      maxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
      nextToken: Type.Optional(Type.String({ pattern: '^[0-9]{1,15}$' })),
    },
    { additionalProperties: false },
  ),
  operation: {
    id: 'ListLabCalls',
    summary: 'Lists the calls that the lab recorded instead of making them, the newest last.',
    answer: {
      description: 'A page of calls, as AWS IoT, or Lambda for a mapping, would have made them.',
      schema: Type.Object({
        calls: Type.Array(
          Type.Object({
            at: Type.String({ description: 'RFC 3339, in UTC.' }),
            ruleName: Type.Optional(Type.String()),
            actionIndex: Type.Optional(Type.Integer({ description: '-1 for the error action.' })),
            mapping: Type.Optional(
              Type.String({
                description:
                  'Instead of a rule: the event source mapping whose on-failure destination it is.',
              }),
            ),
            kind: Type.String(),
            operation: Type.String(),
            parameters: Type.Optional(
              Type.Unknown({
                description: 'Bytes that are not UTF-8 stand as `{"base64": "..."}`.',
              }),
            ),
            parametersLeftOut: Type.Optional(
              Type.Literal('notAllowed', {
                description: 'The policy of the caller does not allow `sluice:ReadPayloads`.',
              }),
            ),
            topic: Type.Optional(Type.String()),
            messageId: Type.Optional(Type.String()),
          }),
        ),
        nextToken: Type.Optional(Type.String()),
        resumeToken: Type.String({
          description: 'Given as `nextToken`, it lists the calls that are recorded after these.',
        }),
      }),
    },
    errors: readErrors,
  },
} satisfies FastifySchema

export function addLabCallRoutes(
  app: HttpApp,
  calls: Pick<RecordedCalls, 'list'>,
  { mayReadPayloads }: PayloadOptions,
): void {
  app.get('/v1/lab/calls', { schema: listLabCalls }, (request) => {
    const { maxResults = maxResultsDefault, ...query } = request.query
    const page = calls.list({ ...query, maxResults })
    if (mayReadPayloads(request)) return page
    const shown = page.calls.map(({ parameters: _parameters, ...call }) => {
      return { ...call, parametersLeftOut: 'notAllowed' }
    })
    return { ...page, calls: shown }
  })
}
