import type { SecretRequest } from '../sql/externals/external-request.ts'
import { readJson } from '../sql/values/json-reader.ts'
import { isObject } from '../sql/values/values.ts'
import type { Value } from '../sql/values/values.ts'

/** The current version of a secret, which has a text or bytes. */
export interface Secret {
  readonly text: string | undefined
  readonly base64: string | undefined
}

/**
 * What `get_secret` gives of a secret: all of it, or one of its keys.
 *
 * @throws Error when the secret does not have what is asked for; the message holds no secret
 */
export function valueOfSecret(
  secret: Secret,
  { secretType, key }: Pick<SecretRequest, 'secretType' | 'key'>,
): Value {
  return secretType === 'SecretString' ? partOf(secret, key) : bytesOf(secret, key)
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
