import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import type { AssumeRole } from './credentials.ts'

/** Credentials that never change, such as the lab's. */
export interface StaticCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

interface StsOptions {
  readonly region: string
  readonly requestHandler: NodeHttpHandler
  /** Without it the SDK's rules apply, `AWS_ENDPOINT_URL_STS` among them. */
  readonly endpoint?: string | undefined
  /** The credentials that assume the role. Without them: the SDK's credential chain. */
  readonly baseCredentials?: StaticCredentials | undefined
}

/** The session name that trust policies and CloudTrail see (AWS STS API Reference, AssumeRole). */
const roleSessionName = 'sluice'

/** The calls to STS, in one region. */
export interface Sts {
  readonly assumeRole: AssumeRole
  /** The account of the caller, 12 digits. */
  accountId(): Promise<string>
}

/** Makes the client of STS. It retries nothing: its callers decide about retries. */
export function createSts(options: StsOptions): Sts {
  const { region, requestHandler, endpoint, baseCredentials } = options
  const client = new STSClient({
    region,
    requestHandler,
    maxAttempts: 1,
    ...(endpoint !== undefined && { endpoint }),
    ...(baseCredentials !== undefined && { credentials: baseCredentials }),
  })
  return {
    async assumeRole(roleArn: string, externalId?: string) {
      const command = new AssumeRoleCommand({
        RoleArn: roleArn,
        RoleSessionName: roleSessionName,
        ExternalId: externalId,
      })
      const { Credentials: given } = await client.send(command)
      const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = given ?? {}
      if (!AccessKeyId || !SecretAccessKey || !SessionToken || !Expiration) {
        throw new Error(`STS answered without credentials for ${roleArn}`)
      }
      return {
        accessKeyId: AccessKeyId,
        secretAccessKey: SecretAccessKey,
        sessionToken: SessionToken,
        expiresAtMs: Expiration.getTime(),
      }
    },
    async accountId() {
      const { Account } = await client.send(new GetCallerIdentityCommand({}))
      if (!Account) throw new Error('STS answered without an account')
      return Account
    },
  }
}

/**
 * A client that is never called: it finds and renews the credentials of this process, as the
 * clients of services do for themselves.
 */
export function createProcessClient({
  region,
  baseCredentials,
}: Pick<StsOptions, 'region' | 'baseCredentials'>) {
  return new STSClient({ region, ...(baseCredentials && { credentials: baseCredentials }) })
}
