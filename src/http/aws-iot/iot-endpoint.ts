import { Type } from 'typebox'
import { SluiceError } from '../../base/errors.ts'
import type { HttpApp } from '../server/http-app.ts'

const dataEndpoints: ReadonlySet<string> = new Set(['iot:Data-ATS', 'iot:Data'])
/** What AWS takes an absent type for. */
const endpointTypeDefault = 'iot:Data'
const query = Type.Object({ endpointType: Type.Optional(Type.String()) })

/**
 * DescribeEndpoint: where the data plane is, which is this port, by the name that the caller knows
 * it under (the server's own address may lie behind a port mapping or a proxy).
 */
export function addEndpointRoute(app: HttpApp): void {
  app.get('/endpoint', { schema: { querystring: query } }, async (request) => {
    const { endpointType = endpointTypeDefault } = request.query
    if (dataEndpoints.has(endpointType)) return { endpointAddress: request.host }
    throw new SluiceError(
      'InvalidRequestException',
      `endpointType ${endpointType} is not served: ${[...dataEndpoints].join(' or ')} is`,
    )
  })
}
