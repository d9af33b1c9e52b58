import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts'
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import type { AssumeRole } from './credentials.ts'

/** Credentials that stand fast, e.g. the lab's. */
export interface StaticCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export interface AssumeRoleOptions {
  readonly region: string
  readonly requestHandler: NodeHttpHandler
  /** Absent: the SDK's own rules, `AWS_ENDPOINT_URL_STS` among them. */
  readonly endpoint?: string
  /** Who assumes the role. Absent: the SDK's chain of environment, profile, container and host. */
  readonly baseCredentials?: StaticCredentials
}

/** What a role's trust policy and CloudTrail see [AWS STS API Reference, AssumeRole]. */
const roleSessionName = 'sluice'

/** The one place that talks to STS. Retries are the caller's: `maxAttempts` is 1. */
export function createAssumeRole(options: AssumeRoleOptions): AssumeRole {
  const { region, requestHandler, endpoint, baseCredentials } = options
  const client = new STSClient({
    region,
    requestHandler,
    maxAttempts: 1,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(baseCredentials === undefined ? {} : { credentials: baseCredentials }),
  })
  return async (roleArn) => {
    const command = new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: roleSessionName })
    const { Credentials: given } = await client.send(command)
    const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = given ?? {}
    if (!AccessKeyId || !SecretAccessKey || !SessionToken || !Expiration) {
      throw new Error(`STS answered without credentials for ${roleArn}`)
    }
    return Object.freeze({
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      sessionToken: SessionToken,
      expiresAtMs: Expiration.getTime(),
    })
  }
}
