import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import type { Clock } from '../base/clock.ts'
import type { SecretRequest } from '../sql/externals/external-request.ts'
import { readJson } from '../sql/values/json-reader.ts'
import { isObject } from '../sql/values/values.ts'
import type { Value } from '../sql/values/values.ts'
import { createRoleCalls } from '../aws/role-calls.ts'
import type { AwsAccess } from '../aws/role-calls.ts'
import { createAnswerCache } from './answer-cache.ts'

/** The AWS IoT guide allows a secret to be up to 15 minutes old. */
const secrets = { answersMax: 1_000, validMs: 15 * 60_000 }

interface Secret {
  readonly text: string | undefined
  readonly base64: string | undefined
}

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
    const { secretId, secretType, key, roleArn } = request
    const secret = await answers.get(JSON.stringify([roleArn, secretId]), () => read(request))
    return secretType === 'SecretString' ? partOf(secret, key) : bytesOf(secret, key)
  }
}

function partOf({ text }: Secret, key: string | undefined): Value {
  if (text === undefined) throw new Error('the secret has no SecretString')
  const value = readJson(text)
  if (isObject(value)) return key === undefined ? value : value.get(key)
  if (key !== undefined) throw new Error('the secret is not a JSON object, so it has no keys')
  return text
}

function bytesOf({ base64 }: Secret, key: string | undefined): Value {
  if (key !== undefined) throw new Error('a SecretBinary has no keys')
  if (base64 === undefined) throw new Error('the secret has no SecretBinary')
  return base64
}
