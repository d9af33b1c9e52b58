import type { AuthenticateError, Client } from 'aedes'
import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { Access, Admission, Login } from '../../identity/policies/access.ts'
import type { Connection } from './connection.ts'
import { mayPublish } from './publishing.ts'

/** Takes a CONNECT to its CONNACK: asks `Access` and answers for Aedes. */
export interface LoginDependencies {
  readonly access: Access
  readonly logger: Pick<Logger, 'error'>
  readonly connectionOf: (client: Client) => Connection | undefined
}

/** Return codes of CONNACK, MQTT 3.1.1 section 3.2.2.3. */
const identifierRejected = 2
const serverUnavailable = 3
const badCredentials = 4
const notAuthorized = 5

/** An error that Aedes answers with this CONNACK code, [MQTT-3.2.2-4]. */
function refuse(returnCode: number, reason: string, detail: string): AuthenticateError {
  const error: Error = Object.assign(new Error(detail), { returnCode, reason })
  return error as AuthenticateError
}

const refusals: Readonly<
  Record<Exclude<Admission['outcome'], 'admitted'>, readonly [returnCode: number, reason: string]>
> = Object.freeze({
  busy: [serverUnavailable, 'login_busy'],
  badCredentials: [badCredentials, 'bad_credentials'],
  notAuthorized: [notAuthorized, 'not_authorized'],
})

/** Decides on a CONNECT and tells Aedes. Never rejects. */
export async function decideLogin(
  dependencies: LoginDependencies,
  client: Client,
  login: Login,
  done: (error: AuthenticateError | null, success: boolean | null) => void,
): Promise<void> {
  const fault = await decide(dependencies, client, login)
  done(fault, fault === null)
}

/** Sets the permissions of the connection when its client is admitted. */
async function decide(
  dependencies: LoginDependencies,
  client: Client,
  login: Login,
): Promise<AuthenticateError | null> {
  const connection = dependencies.connectionOf(client)
  if (connection === undefined)
    return refuse(notAuthorized, 'not_authorized', 'the connection is gone')
  const { identifierFault, peer, will } = connection
  if (identifierFault !== undefined) {
    return refuse(identifierRejected, 'client_id_invalid', identifierFault)
  }
  try {
    const admission = await dependencies.access.authenticate(peer, withGone(login, connection))
    connection.onGone = undefined
    if (admission.outcome !== 'admitted') {
      return refuse(...refusals[admission.outcome], admission.detail)
    }
    const { permissions } = admission
    if (will !== undefined && !mayPublish(permissions, will)) {
      return refuse(notAuthorized, 'not_authorized', 'no policy allows publishing its will')
    }
    connection.permissions = permissions
    return null
  } catch (thrown) {
    dependencies.logger.error({ cause: messageOf(thrown) }, 'a CONNECT could not be decided')
    return refuse(serverUnavailable, 'login_failed', 'the login could not be decided')
  }
}

/** Only a password is expensive to check, so only such a login may have to wait for its turn. */
function withGone(login: Login, connection: Connection): Login {
  if (login.password === undefined) return login
  const controller = new AbortController()
  connection.onGone = () => controller.abort()
  if (connection.hasGone) controller.abort()
  return { ...login, gone: controller.signal }
}
