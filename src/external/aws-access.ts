import type { NodeHttpHandler } from '@smithy/node-http-handler'
import { createBoundedMap } from '../base/bounded-map.ts'
import type { RoleCredentials } from '../aws/credentials.ts'
import { sdkProviderOf } from '../aws/credentials.ts'
import type { StaticCredentials } from '../aws/sts.ts'
import { messageOf } from '../base/errors.ts'

/** How AWS is reached for external functions, and as whom. */
export interface AwsAccess {
  readonly region: string
  readonly requestHandler: NodeHttpHandler
  /** Of a role, shared by all that act with it. */
  credentialsOf(region: string, roleArn: string): RoleCredentials
  /** Who the process is. Absent: the SDK's chain. */
  readonly baseCredentials?: StaticCredentials
  /** Absent: the SDK's own rules, its environment variables too. */
  readonly endpoint?: string
}

/** What the SDK's clients have in common here: nothing is tried twice, the caller decides. */
export function clientOptions({ region, requestHandler, endpoint, baseCredentials }: AwsAccess) {
  return {
    region,
    requestHandler,
    maxAttempts: 1,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(baseCredentials === undefined ? {} : { credentials: baseCredentials }),
  }
}

type ClientOptions = ReturnType<typeof clientOptions>
type RoleClientOptions = Omit<ClientOptions, 'credentials'> & {
  readonly credentials: ReturnType<typeof sdkProviderOf>
}

/** Clients of one service that are kept, one for each role. Roles stand in rules, so they are few. */
const clientsMax = 256
const expiredNames: ReadonlySet<string> = new Set(['ExpiredToken', 'ExpiredTokenException'])

/**
 * Calls of one service with the role that each names.
 *
 * @param makeClient one of the SDK's clients
 * @returns sends by the client of a role; rejects with what the SDK throws
 */
export function createRoleCalls<Client>(
  access: AwsAccess,
  makeClient: (options: RoleClientOptions) => Client,
) {
  const clients = createBoundedMap<string, { client: Client; credentials: RoleCredentials }>(
    clientsMax,
  )

  function makeFor(roleArn: string) {
    const credentials = access.credentialsOf(access.region, roleArn)
    const options = { ...clientOptions(access), credentials: sdkProviderOf(credentials) }
    return { client: makeClient(options), credentials }
  }

  return async <Answer>(roleArn: string, send: (client: Client) => Promise<Answer>) => {
    const { client, credentials } = clients.getOrMake(roleArn, makeFor)
    const used = await credentials.current()
    try {
      return await send(client)
    } catch (thrown) {
      if (thrown instanceof Error && expiredNames.has(thrown.name)) credentials.drop(used)
      throw thrown
    }
  }
}

/** What the SDK threw, for people: the name of the error says most of it. */
export function reasonOf(thrown: unknown): string {
  const isNamed = thrown instanceof Error && thrown.name !== 'Error'
  return isNamed ? `${thrown.name}: ${thrown.message}` : messageOf(thrown)
}
