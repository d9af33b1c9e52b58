import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { SluiceError } from '../../base/errors.ts'
import type { HttpApp } from '../server/http-app.ts'

const dataEndpoints: ReadonlySet<string> = new Set(['iot:Data-ATS', 'iot:Data'])
/** The type that AWS assumes when none is given. */
const endpointTypeDefault = 'iot:Data'

const describeEndpoint = {
  querystring: Type.Object({ endpointType: Type.Optional(Type.String()) }),
  operation: {
    id: 'DescribeEndpoint',
    summary: 'Names the host and port of the data plane: those of this server.',
    answer: {
      description: 'The endpoint.',
      schema: Type.Object({ endpointAddress: Type.String() }),
    },
    errors: [
      'InternalFailureException',
      'InvalidRequestException',
      'UnauthorizedException',
      'ThrottlingException',
    ],
  },
} satisfies FastifySchema

/**
 * DescribeEndpoint answers with this port under the host name that the caller used, because the
 * server's own address may lie behind a port mapping or a proxy.
 */
export function addEndpointRoute(app: HttpApp): void {
  app.get('/endpoint', { schema: describeEndpoint }, async (request) => {
    const { endpointType = endpointTypeDefault } = request.query
    if (dataEndpoints.has(endpointType)) return { endpointAddress: request.host }
    throw new SluiceError(
      'InvalidRequestException',
      `endpointType ${endpointType} is not served: ${[...dataEndpoints].join(' or ')} is`,
    )
  })
}
