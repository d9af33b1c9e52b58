import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { invalidRequest } from '../../base/errors.ts'
import type { Shadows } from '../../device-services/shadows/shadows.ts'
import type { HttpApp } from '../server/http-app.ts'
import { nextTokenSchema } from '../server/operation.ts'
import { keyOfToken, tokenOfKey } from '../server/page-token.ts'
import { readErrors } from './sluice-api.ts'

export interface ShadowListDependencies {
  readonly shadows: Pick<Shadows, 'list'>
}

const maxResultsDefault = 100

const listShadows = {
  querystring: Type.Object(
    {
      prefix: Type.Optional(
        Type.String({ description: 'Only things whose names begin with it.', maxLength: 128 }),
      ),
      maxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
      nextToken: Type.Optional(Type.String()),
    },
    { additionalProperties: false },
  ),
  operation: {
    id: 'ListShadows',
    summary: 'Lists the shadows of all things, also of those that are not registered.',
    description: 'A page may end before it is full, where shadows were deleted.',
    answer: {
      description: 'A page of shadows in the order of the names of their things.',
      schema: Type.Object({
        shadows: Type.Array(
          Type.Object({
            thingName: Type.String(),
            shadowName: Type.Optional(
              Type.String({ description: 'Absent for the classic shadow.' }),
            ),
            version: Type.Integer(),
          }),
        ),
        nextToken: nextTokenSchema,
      }),
    },
    errors: readErrors,
  },
} satisfies FastifySchema

/** No name of a thing or a shadow holds it. */
const separator = '~'

export function addShadowListRoute(app: HttpApp, { shadows }: ShadowListDependencies): void {
  app.get('/v1/shadows', { schema: listShadows }, async (request) => {
    const { maxResults = maxResultsDefault, nextToken, prefix = '' } = request.query
    const after = nextToken ? placeOf(nextToken) : undefined
    const { found, last } = await shadows.list({ prefix, after, max: maxResults })
    return {
      shadows: found.map(({ thingName, shadowName, version }) => ({
        thingName,
        shadowName: shadowName === '' ? undefined : shadowName,
        version,
      })),
      nextToken: last && tokenOfKey(last.join(separator)),
    }
  })
}

function placeOf(token: string): readonly [string, string] {
  const [thingName, shadowName, ...rest] = keyOfToken(token).split(separator)
  if (thingName !== undefined && shadowName !== undefined && rest.length === 0) {
    return [thingName, shadowName]
  }
  throw invalidRequest('nextToken is not one that a list gave')
}
