import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import type { Clock } from '../../base/clock.ts'
import { messageOf, shorten } from '../../base/errors.ts'
import { unlessAborted } from '../../base/unless-aborted.ts'
import { failureOf } from '../call/failure-class.ts'
import { createSignedHttp } from '../call/signed-http.ts'
import type { HttpAnswer } from '../call/signed-http.ts'
import type { InfluxdbConfiguration } from '../http/http-access.ts'
import { clientOptionsOf } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/** One InfluxDB, called with the API token of its topic rule destination. */
interface InfluxdbServer {
  /**
   * Makes a request. A token that is not taken is read from the secret again, once.
   *
   * @throws an error of Secrets Manager or of the network, or one named `SecretUnusable` (rejects)
   */
  send(request: InfluxdbRequest, signal: AbortSignal): Promise<HttpAnswer>
}

interface InfluxdbRequest {
  readonly method: 'GET' | 'POST'
  /** With its query. */
  readonly path: string
  readonly body?: Buffer | undefined
}

type InfluxdbServerOptions = SenderOptions & { readonly clock: Clock }

/** As AWS IoT keeps what `get_secret` reads. */
const tokenValidMs = 15 * 60_000
const shownCharactersMax = 400

export function createInfluxdbServer(
  options: InfluxdbServerOptions,
  configuration: InfluxdbConfiguration,
): InfluxdbServer {
  const { clock, endpoint = configuration.endpoint } = options
  const server = new URL(endpoint)
  const http = createSignedHttp(options, undefined)
  const readToken = createTokenReader(options, configuration)
  const scheme = configuration.influxDBVersion === 'V2' ? 'Token' : 'Bearer'
  let held: { readonly token: Promise<string>; readonly readAtMs: number } | undefined

  function tokenNow(): Promise<string> {
    const nowMs = clock.monotonicMs()
    if (held === undefined || nowMs - held.readAtMs >= tokenValidMs) {
      const read = { token: readToken(), readAtMs: nowMs }
      held = read
      // One that cannot be read is asked for again by the next call.
      read.token.catch(() => forget(read.token))
    }
    return held.token
  }

  function forget(token: Promise<string>): void {
    if (held?.token === token) held = undefined
  }

  function sendWith(
    token: string,
    { method, path, body = Buffer.alloc(0) }: InfluxdbRequest,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const headers = {
      authorization: `${scheme} ${token}`,
      accept: 'application/json',
      ...(method === 'POST' && { 'content-type': 'text/plain; charset=utf-8' }),
    }
    return http.send({ method, server, path, headers, body }, signal)
  }

  return {
    async send(request, signal) {
      const reading = tokenNow()
      const used = await unlessAborted(reading, signal)
      const answer = await sendWith(used, request, signal)
      if (answer.status !== 401) return answer
      forget(reading)
      const newer = await unlessAborted(tokenNow(), signal)
      return newer === used ? answer : sendWith(newer, request, signal)
    },
  }
}

/** Makes the function that reads the token from the secret, for all who wait for it. */
function createTokenReader(
  options: SenderOptions,
  { secretId, secretType = 'SecretString', secretKey }: InfluxdbConfiguration,
): () => Promise<string> {
  const { requestHandler, serviceHandler = requestHandler } = options
  const client = new SecretsManagerClient(
    // An endpoint beside the rule is that of the InfluxDB.
    clientOptionsOf({ ...options, requestHandler: serviceHandler, endpoint: undefined }),
  )
  return async () => {
    try {
      const { SecretString, SecretBinary } = await client.send(
        new GetSecretValueCommand({ SecretId: secretId }),
      )
      const bytes = SecretBinary && Buffer.from(SecretBinary).toString()
      return tokenIn(secretType === 'SecretString' ? SecretString : bytes, secretType, secretKey)
    } catch (thrown) {
      throw ofSecret(thrown, secretId)
    }
  }
}

/** @throws Error named `SecretUnusable`, whose message holds nothing of the secret */
function tokenIn(text: string | undefined, type: string, key: string | undefined): string {
  if (text === undefined) throw unusable(`it has no ${type}`)
  const token = key === undefined ? text : memberOf(text, key)
  if (typeof token !== 'string') throw unusable(`it has no text under the key ${key}`)
  const trimmed = token.trim()
  if (/^[\u0021-\u007e]+$/.test(trimmed)) return trimmed
  throw unusable('what it holds is no API token')
}

function memberOf(text: string, key: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The error of JSON.parse would show the secret.
  }
  if (typeof value !== 'object' || value === null) throw unusable('it is no JSON object')
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined
}

const unusable = (message: string) => Object.assign(new Error(message), { name: 'SecretUnusable' })

/** The same error, whose message says which secret it is about. */
function ofSecret(thrown: unknown, secretId: string): Error {
  const { code, message, status } = failureOf(thrown, 'InfluxDB')
  return Object.assign(new Error(`the secret ${secretId}: ${message}`, { cause: thrown }), {
    name: code,
    ...(status !== undefined && { $metadata: { httpStatusCode: status } }),
  })
}

/**
 * What an answer says, in the words of the server.
 *
 * @param origin scheme, host and port of the server
 */
export function textOfAnswer({ status, text }: HttpAnswer, origin: string): string {
  const said = shorten(text.replaceAll(/\s+/g, ' ').trim(), shownCharactersMax)
  return `${origin} answered ${status}${said && `: ${said}`}`
}

/** AWS IoT authenticates with these. The format is one that InfluxDB 3 asks for. */
const probePaths = { V2: '/api/v2/me', V3: '/api/v3/configure/database?format=json' } as const

/** @returns why the destination cannot be used; undefined when it can. Never rejects */
export async function probeInfluxdb(
  options: InfluxdbServerOptions,
  configuration: InfluxdbConfiguration,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { influxDBVersion, endpoint } = configuration
  try {
    const request = { method: 'GET', path: probePaths[influxDBVersion] } as const
    const answer = await createInfluxdbServer(options, configuration).send(request, signal)
    if (answer.status >= 200 && answer.status < 300) return undefined
    return `${textOfAnswer(answer, new URL(endpoint).origin)} to GET ${request.path}`
  } catch (thrown) {
    const { code } = failureOf(thrown, 'InfluxDB')
    return `${code}: ${messageOf(thrown)}`
  }
}
