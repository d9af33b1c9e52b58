import type { NodeHttpHandler } from '@smithy/node-http-handler'
import { createBoundedMap } from '../base/bounded-map.ts'
import { sdkProviderOf } from './call/credentials.ts'
import type { RoleCredentials } from './call/credentials.ts'
import { sessionRefusalOf } from './call/failure-class.ts'
import type { StaticCredentials } from './call/sts.ts'

/** How clients reach AWS: region, endpoint, connections and credentials. */
export interface AwsAccess {
  readonly region: string
  readonly requestHandler: NodeHttpHandler
  /** The credentials of a role, shared by every client that acts with the role. */
  credentialsOf(region: string, roleArn: string): RoleCredentials
  /** The credentials of the process. Without them the SDK's credential chain is used. */
  readonly baseCredentials?: StaticCredentials | undefined
  /** Without it the SDK's rules and environment variables apply. */
  readonly endpoint?: string | undefined
}

/** The options of every SDK client that acts as the process itself. Clients retry nothing. */
export function clientOptions({ region, requestHandler, endpoint, baseCredentials }: AwsAccess) {
  return {
    region,
    requestHandler,
    maxAttempts: 1,
    ...(endpoint !== undefined && { endpoint }),
    ...(baseCredentials !== undefined && { credentials: baseCredentials }),
  }
}

type ClientOptions = ReturnType<typeof clientOptions>
type RoleClientOptions = Omit<ClientOptions, 'credentials'> & {
  readonly credentials: ReturnType<typeof sdkProviderOf>
}

/** Clients of one service, one per role. The roles are named in rules, so there are few. */
const clientsMax = 256

/**
 * Makes the calls to one service, each with the role that it names.
 *
 * @param makeClient makes one of the SDK's clients
 * @returns sends with the client of a role; rejects with the SDK's error
 */
export function createRoleCalls<Client>(
  access: AwsAccess,
  makeClient: (options: RoleClientOptions) => Client,
) {
  type RoleClient = { readonly client: Client; readonly credentials: RoleCredentials }
  const clients = createBoundedMap<string, RoleClient>(clientsMax)

  function createClient(roleArn: string): RoleClient {
    const credentials = access.credentialsOf(access.region, roleArn)
    const options = { ...clientOptions(access), credentials: sdkProviderOf(credentials) }
    return { client: makeClient(options), credentials }
  }

  return async <Answer>(roleArn: string, send: (client: Client) => Promise<Answer>) => {
    const { client, credentials } = clients.getOrMake(roleArn, createClient)
    const used = await credentials.current()
    try {
      return await send(client)
    } catch (thrown) {
      const refusal = thrown instanceof Error ? sessionRefusalOf(thrown.name) : undefined
      if (refusal) credentials.drop(used, refusal)
      throw thrown
    }
  }
}
