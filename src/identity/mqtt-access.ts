import type { Clock } from '../base/clock.ts'
import type { Access, Admission, Peer, Login } from './policies/access.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import type { AccessKeys } from './access-keys/access-keys.ts'
import type { FileFaults } from '../storage/file-faults.ts'
import type { SecretSource } from '../storage/reloaded-file.ts'
import type { KeptLogins } from './passwords/known-logins.ts'
import { openPasswords } from './passwords/passwords.ts'
import type { Passwords } from './passwords/passwords.ts'
import { createPermissions, followPolicies, mayConnect } from './policies/permissions.ts'
import type { PermissionsOptions } from './policies/permissions.ts'
import { combinePolicies } from './policies/policy.ts'
import { openPolicyFolder } from './policies/policy-folder.ts'
import type { FolderScope, PolicyFolder } from './policies/policy-folder.ts'
import type { PolicyRecords } from './policies/policy-records.ts'
import type { PolicyTarget } from './policies/policy-targets.ts'
import type { ResourceOwner } from './policies/resource-arn.ts'

/**
 * Decides who may connect over MQTT. A connection is identified by the first of these that it has,
 * and the others are ignored:
 *
 *   1. the client certificate that TLS verified
 *   2. the access key that signed the URL of a WebSocket
 *   3. user name and password
 *   4. none of them: the client is anonymous, if that is allowed
 *
 * So a device with AWS's SDK, which sends statistics of the SDK as its user name, is identified by
 * its certificate or signature. A wrong password never falls back to anonymous.
 *
 * The policies of the folder decide what the connection may do; for an access key its own policy
 * decides, as on AWS. Both may change while the connection is open.
 */
export interface MqttAccess extends Access {
  /** Whether a decision of the folder's policies may depend on the id of the account. */
  namesAccount(): boolean
  /** Brings what the folder of policies says now into force. */
  reloadPolicies(): Promise<void>
  /** Stops following the files, and writes the logins that are kept. */
  close(): Promise<void>
}

/** What the registry knows of certificates and their things. */
export interface RegisteredClients {
  /** Undefined for a certificate that it does not know. */
  statusOf(certificateId: string): string | undefined
  /** Undefined when there is none of that name. */
  find(thingName: string): RegisteredThing | undefined
  /** The names of the things that a certificate is attached to. */
  thingsOf(certificateId: string): readonly string[]
}

interface RegisteredThing {
  readonly thingName: string
  readonly thingTypeName?: string | undefined
  readonly attributes: Readonly<Record<string, string>>
  /** How certificates are attached, by their id. */
  readonly principals: Readonly<Record<string, string>>
}

interface MqttAccessDependencies {
  /** Absent: there is no registry. */
  readonly registry?: RegisteredClients | undefined
  /** Whether the folder's policies are for registered certificates alone. */
  readonly scope?: FolderScope | undefined
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly clock: Clock
  /** Is notified of files that cannot be read. */
  readonly faults?: FileFaults | undefined
}

export interface MqttAccessOptions {
  /** Absent: there are no passwords. */
  readonly passwordFile?: string | undefined
  /** What is read instead of the password file. */
  readonly passwordSource?: SecretSource | undefined
  /** Where logins are kept beyond the process. Absent: nowhere. */
  readonly keptLogins?: KeptLogins | undefined
  /** The folder may be missing: then every client that may connect may do everything. */
  readonly policiesDir: string
  /** What is read instead of the folder. */
  readonly policyRecords?: PolicyRecords | undefined
  /** Whether anonymous clients are admitted, for each transport. */
  readonly anonymous: Readonly<Record<Peer['transport'], boolean>>
  /** The owner of the resources in policies. */
  readonly owner: ResourceOwner
  /** The keys that may sign the URL of a WebSocket. The caller closes them. */
  readonly accessKeys?: Pick<AccessKeys, 'find'> | undefined
}

/** @throws SluiceError IdentityFileInvalid: the password file or a policy */
export async function openMqttAccess(
  dependencies: MqttAccessDependencies,
  options: MqttAccessOptions,
): Promise<MqttAccess> {
  const { policiesDir, policyRecords: records, owner } = options
  const { registry, scope } = dependencies
  const folder = await openPolicyFolder(dependencies, { directory: policiesDir, records, scope })
  const passwords = await openPasswordsOf(dependencies, options, folder)
  const identify = createIdentification({ folder, passwords, registry }, options)
  reportPolicies(dependencies.logger, records?.place ?? policiesDir, folder)

  return {
    async authenticate(peer, login) {
      const identity = await identify(peer, login)
      if ('outcome' in identity) return identity
      const variables = variablesOf(peer, login, registry)
      const permissions = { ...identity, owner, variables }
      if (mayConnect(permissions, login.clientId)) {
        return { outcome: 'admitted', permissions: createPermissions(permissions) }
      }
      return refused('notAuthorized', 'no policy allows iot:Connect under this client id')
    },
    namesAccount: () => folder.policies.current?.namesAccount ?? false,
    reloadPolicies: () => folder.reload(),
    async close() {
      folder.close()
      await passwords?.close()
    },
  }
}

async function openPasswordsOf(
  dependencies: MqttAccessDependencies,
  { passwordFile: file, passwordSource: source, keptLogins }: MqttAccessOptions,
  folder: PolicyFolder,
): Promise<Passwords | undefined> {
  if (file === undefined) return undefined
  try {
    return await openPasswords(dependencies, { file, source, keptLogins })
  } catch (thrown) {
    folder.close()
    throw thrown
  }
}

function reportPolicies(
  logger: MqttAccessDependencies['logger'],
  policiesDir: string,
  folder: PolicyFolder,
): void {
  const policies = folder.policies.current
  if (policies === undefined) {
    logger.info({ policiesDir }, 'no MQTT policies are enforced: the folder does not exist')
  } else if (policies.count === 0) {
    logger.warn({ policiesDir }, 'the folder of MQTT policies is empty: no client may do anything')
  } else {
    logger.info({ policiesDir, policies: policies.count }, 'MQTT policies are enforced')
  }
}

/** An identified client and its policy. */
type Identity = Pick<PermissionsOptions, 'principal' | 'policyNow'>
type Refusal = Exclude<Admission, { readonly outcome: 'admitted' }>

interface Known {
  readonly folder: PolicyFolder
  readonly passwords: Passwords | undefined
  readonly registry: RegisteredClients | undefined
}

function createIdentification({ folder, passwords, registry }: Known, options: MqttAccessOptions) {
  const { anonymous, accessKeys } = options
  const identityOf = (principal: string | undefined, target: PolicyTarget): Identity => ({
    principal,
    policyNow: followPolicies(folder.policies, target),
  })

  function byCertificate(principal: string): Identity | Refusal {
    const status = registry?.statusOf(principal)
    if (status !== undefined && status !== 'ACTIVE') {
      return refused('notAuthorized', `the certificate is ${status} in the registry`)
    }
    const policyNow = followPolicies(folder.policies, `cert:${principal}`, status !== undefined)
    return { principal, policyNow }
  }

  const anybody = identityOf(undefined, 'anonymous')
  const isOpen = ({ transport }: Peer) => anonymous[transport]

  function byAccessKey(accessKeyId: string): Identity | Refusal {
    if (!accessKeys?.find(accessKeyId)) {
      return refused('notAuthorized', 'the access key that signed the URL was removed')
    }
    return {
      principal: accessKeyId,
      policyNow: () => accessKeys.find(accessKeyId)?.policy ?? nothing,
    }
  }

  async function byPassword(
    peer: Peer,
    user: string,
    { password, gone }: { readonly password: Uint8Array; readonly gone: AbortSignal | undefined },
  ): Promise<Identity | Refusal> {
    if (!passwords) {
      return isOpen(peer) ? anybody : refused('badCredentials', 'there is no password file')
    }
    // A name that is too long for any user counts as a failure, and is not stored.
    const known = user.length <= userUnitsMax ? user : ''
    const outcome = await passwords.check({
      user: known,
      password,
      address: peer.sourceIp ?? 'unknown',
      gone,
    })
    return outcome === 'right' ? identityOf(user, `user:${user}`) : loginRefusals[outcome]
  }

  return (peer: Peer, login: Login): Promise<Identity | Refusal> | Identity | Refusal => {
    const { certificate, accessKeyId } = peer
    const { username, password } = login
    if (certificate) return byCertificate(certificate.principal)
    if (accessKeyId !== undefined) return byAccessKey(accessKeyId)
    if (username !== undefined && password) {
      return byPassword(peer, username, { password, gone: login.gone })
    }
    // AWS's SDKs send `?SDK=...`; every other client that gives a user name has to prove it.
    if (passwords && username && !username.startsWith('?')) {
      return refused('badCredentials', 'the client gave a user name and no password')
    }
    if (isOpen(peer)) return anybody
    return refused('notAuthorized', 'the client gave no certificate, signature or password')
  }
}

/** UTF-16 code units of 128 characters, which the password file takes. */
const userUnitsMax = 256
const nothing = combinePolicies([])

/**
 * The variables of the thing of a connection are those of the thing whose name is the client id, if
 * its certificate is attached to that thing; or of the one thing that the certificate belongs to
 * exclusively [AWS IoT Developer Guide, "Thing policy variables"]. A client without a registered
 * certificate has its client id as the name of its thing, unless the registry has that thing.
 */
function variablesOf(
  { certificate }: Peer,
  { clientId }: Login,
  registry: RegisteredClients | undefined,
): PermissionsOptions['variables'] {
  const own = registry && certificate && thingOf(registry, certificate.principal, clientId)
  const isKnown =
    registry?.find(clientId) !== undefined ||
    (certificate !== undefined && registry?.statusOf(certificate.principal) !== undefined)
  return {
    'iot:ClientId': clientId,
    'iot:Connection.Thing.ThingName': own?.thingName ?? (isKnown ? undefined : clientId),
    'iot:Connection.Thing.ThingTypeName': own?.thingTypeName,
    'iot:Connection.Thing.IsAttached': String(own !== undefined),
    'iot:Certificate.Subject.CommonName': certificate?.commonName,
    ...Object.fromEntries(
      Object.entries(own?.attributes ?? {}).map(([name, value]) => [
        `iot:Connection.Thing.Attributes[${name}]` as const,
        value,
      ]),
    ),
  }
}

function thingOf(
  registry: RegisteredClients,
  principal: string,
  clientId: string,
): RegisteredThing | undefined {
  const named = registry.find(clientId)
  if (named && Object.hasOwn(named.principals, principal)) return named
  const [only] = registry.thingsOf(principal)
  const thing = only === undefined ? undefined : registry.find(only)
  return thing?.principals[principal] === 'EXCLUSIVE_THING' ? thing : undefined
}

function refused(outcome: Refusal['outcome'], detail: string): Refusal {
  return { outcome, detail }
}

const loginRefusals = Object.freeze({
  wrong: refused('badCredentials', 'no such user, or another password'),
  limited: refused('busy', 'too many failed logins of this user or address'),
  busy: refused('busy', 'too many logins at once'),
  gone: refused('busy', 'the client went before its password was checked'),
})
