import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import type { Clock } from '../base/clock.ts'
import type { SecretRequest } from '../sql/externals/external-request.ts'
import type { Value } from '../sql/values/values.ts'
import { createRoleCalls } from '../aws/role-calls.ts'
import type { AwsAccess } from '../aws/role-calls.ts'
import { createAnswerCache } from './answer-cache.ts'
import { valueOfSecret } from './secret-value.ts'
import type { Secret } from './secret-value.ts'

/** The AWS IoT guide allows a secret to be up to 15 minutes old. */
const secrets = { answersMax: 1_000, validMs: 15 * 60_000 }

/** `get_secret`: the current version of a secret, or one key of it. */
export function createSecretsManager(access: AwsAccess, { clock }: { readonly clock: Clock }) {
  const withRole = createRoleCalls(access, (options) => new SecretsManagerClient(options))
  const answers = createAnswerCache<Secret>({ clock }, secrets)

  /** Takes no signal: an aborted message must not end the read that others wait for. */
  async function read({ secretId, roleArn }: SecretRequest): Promise<Secret> {
    const command = new GetSecretValueCommand({ SecretId: secretId })
    const answer = await withRole(roleArn, (client) => client.send(command))
    const { SecretString: text, SecretBinary: bytes } = answer
    return { text, base64: bytes && Buffer.from(bytes).toString('base64') }
  }

  return async (request: SecretRequest): Promise<Value> => {
    const { secretId, roleArn } = request
    const secret = await answers.get(JSON.stringify([roleArn, secretId]), () => read(request))
    return valueOfSecret(secret, request)
  }
}
