import type { FastifyReply, FastifyRequest, HTTPMethods, RouteOptions } from 'fastify'
import { SluiceError } from '../../base/errors.ts'
import type { Api, Apis } from './api.ts'
import { knownMethods } from './http-app.ts'
import type { HttpApp } from './http-app.ts'

/**
 * The answers where no route is:
 * - 400 with the operation's name for an operation of AWS that Sluice does not have;
 * - 405 for a path that does not take the method;
 * - 404 for any other path.
 */
interface UnknownPaths {
  /**
   * @throws SluiceError InvalidRequestException: the request is for an operation that is missing
   */
  refuseMissingOperation(request: FastifyRequest): void
  /** Adds the routes that answer 405. They come after all others. */
  addOtherMethods(routes: HttpApp): void
}

/** Watches the routes that are added from here on, and answers requests that come to none. */
export function createUnknownPaths(app: HttpApp, apis: Apis): UnknownPaths {
  const routes: RouteOptions[] = []
  app.addHook('onRoute', (route) => void routes.push(route))
  // Operations of two APIs may have one name, such as TagResource.
  const isServed = (operation: string, api: Api) =>
    routes.some(({ schema, config }) => schema?.operation?.id === operation && config?.api === api)

  const refuseMissingOperation = (request: FastifyRequest) => {
    const found = apis.operationAt(request)
    // A request may ask for an operation that is served with a path that its route does not take.
    if (!found || isServed(found.operation, found.api)) return
    throw new SluiceError('InvalidRequestException', `Sluice does not have ${found.operation}`)
  }

  app.setNotFoundHandler((request, reply) => {
    refuseMissingOperation(request)
    if (!knownMethods.includes(request.method)) {
      reply.header('allow', knownMethods.join(', '))
      throw new SluiceError('MethodNotAllowedException', `no path takes ${request.method}`)
    }
    throw new SluiceError(
      'ResourceNotFoundException',
      `there is nothing at ${request.method} ${request.url}`,
    )
  })

  return {
    refuseMissingOperation,
    addOtherMethods(to) {
      // A copy, because the routes that are added here are watched as well.
      const configs = new Map(routes.map(({ url, config = {} }) => [url, config]))
      for (const [url, config] of configs) {
        const isTaken = (method: string) => app.hasRoute({ method, url })
        const allowed = knownMethods.filter(isTaken)
        const method = knownMethods.filter((name) => !isTaken(name)) as HTTPMethods[]
        const refuse = async (request: FastifyRequest, reply: FastifyReply) => {
          refuseMissingOperation(request)
          reply.header('allow', allowed.join(', '))
          throw new SluiceError(
            'MethodNotAllowedException',
            `${request.method} is not a method of this path; it takes ${allowed.join(', ')}`,
          )
        }
        // Authenticated clients are answered before policies are asked, which know no such route.
        const schema = { hide: true }
        to.route({ method, url, schema, config, preValidation: refuse, handler: refuse })
      }
    },
  }
}
