import { createServer } from 'node:http'
import { collectOperations } from '../src/http/server/api-document.ts'
import type { ApiOperation } from '../src/http/server/api-document.ts'
import { addApiRoutes, apis } from '../src/http/api-routes.ts'
import type { ApiRouteDependencies } from '../src/http/api-routes.ts'
import { createHttpApp } from '../src/http/server/http-app.ts'
import { createMemoryLogger } from '../src/telemetry/telemetry.ts'

/** No handler is called while the routes are only listed, so what they work with may be absent. */
const absent = { outbox: {} } as unknown as ApiRouteDependencies

/** @returns the operations of the HTTP API, as the schemas of their routes describe them */
export async function listApiOperations(): Promise<readonly ApiOperation[]> {
  const logger = createMemoryLogger(() => undefined)
  const app = createHttpApp({ apis, logger }, (handler) => createServer(handler))
  const operations = collectOperations(app)
  addApiRoutes(app, absent, {
    principalOf: () => undefined,
    addressOf: () => '',
    mayReadPayloads: () => true,
  })
  await app.ready()
  await app.close()
  return operations()
}
