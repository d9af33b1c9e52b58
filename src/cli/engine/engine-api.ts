import { once } from 'node:events'
import { request as requestOverHttp } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { request as requestOverTls } from 'node:https'
import { endpointOf } from '../../app/running-engine.ts'
import { systemClock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { labRegion } from '../../config/config.ts'
import { regionOfEnvironment } from '../../config/region.ts'
import { dataFoldersOf, findRunningEngine } from '../mqtt/find-running-engine.ts'
import type { Host } from '../terminal/host.ts'

/** The HTTP API of a lab or an engine, for commands. */
export interface EngineApi {
  /** `http://127.0.0.1:8080` */
  readonly url: string
  /**
   * @returns the answer as JSON; undefined when it is empty
   * @throws SluiceError (rejects): with the code and in the words of the engine;
   *   ServiceUnavailableException when it cannot be reached
   */
  call(request: ApiRequest): Promise<unknown>
  /** Reads server-sent events until the signal comes or the engine ends them; throws as `call`. */
  events(request: ApiRequest, signal: AbortSignal): AsyncIterable<ApiEvent>
}

interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
}

interface ApiEvent {
  readonly name: string
  readonly data: unknown
}

export interface EngineOptions {
  readonly endpoint?: string | undefined
}

/** The option of all commands that ask an engine. */
export const endpointOption = [
  '--endpoint <url>',
  'the HTTP API of another engine, such as https://edge-7:8443 (default: the one of the data folder)',
] as const

export const endpointNotes: readonly string[] = [
  'It asks the lab or the engine that runs on the data folder (SLUICE_DATA_DIR, else ./lab-data and ./data).',
  'Where requests must be signed, it signs them with an access key of `sluice keys create`, which ' +
    'it takes as the AWS CLI does: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.',
]

const answerTimeoutMs = 30_000
const answerBytesMax = 64 * 1_048_576

/** @throws SluiceError ConfigInvalid (rejects): no engine runs here, or there is no access key */
export async function findEngineApi(host: Host, { endpoint }: EngineOptions): Promise<EngineApi> {
  const place = endpoint === undefined ? await placeHere(host) : placeAt(host, endpoint)
  const sign = await signerOf(place)
  return {
    url: place.url,
    async call(request) {
      const late = new AbortController()
      const cancel = systemClock.after(answerTimeoutMs, () =>
        late.abort(new Error(`there was no answer within ${answerTimeoutMs / 1_000} s`)),
      )
      try {
        const answer = await send(place, sign, request, late.signal)
        const text = await textOf(answer)
        return text === '' ? undefined : (JSON.parse(text) as unknown)
      } catch (thrown) {
        throw failureOf(place, late.signal.aborted ? late.signal.reason : thrown)
      } finally {
        cancel()
      }
    },
    async *events(request, signal) {
      try {
        const answer = await send(place, sign, request, signal)
        yield* eventsOf(answer)
      } catch (thrown) {
        if (!signal.aborted) throw failureOf(place, thrown)
      }
    },
  }
}

/** An engine, and how to reach it. */
interface Place {
  readonly url: string
  readonly region: string
  /** Whether requests must be signed. Undefined: it is not known; a key is used if there is one. */
  readonly isSigned: boolean | undefined
  /** An engine of this machine was found by its own file, which nobody else can write. */
  readonly isVerified: boolean
}

async function placeHere(host: Host): Promise<Place> {
  const engine = await findRunningEngine(host, ({ http }) => http !== undefined)
  if (engine?.http === undefined) {
    throw new SluiceError(
      'ConfigInvalid',
      `no lab or engine runs on ${dataFoldersOf(host).join(' or ')} (\`sluice lab\` runs one); --endpoint names another`,
    )
  }
  const { http, region, credentialsFile } = engine
  const url = endpointOf(http, http.tls ? 'https' : 'http')
  return { url, region, isSigned: credentialsFile !== undefined, isVerified: true }
}

function placeAt({ environment }: Host, endpoint: string): Place {
  const url = endpoint.replace(/\/+$/, '')
  if (!/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')) {
    throw new SluiceError('ConfigInvalid', `--endpoint: "${endpoint}" is no URL of a server`)
  }
  const region = regionOfEnvironment(environment) ?? labRegion
  return { url, region, isSigned: undefined, isVerified: false }
}

type Headers = readonly (readonly [string, string])[]
type Sign = (request: {
  readonly method: string
  readonly url: string
  readonly headers: Headers
  readonly body: Buffer
}) => Promise<Headers>

async function signerOf({ isSigned, region }: Place): Promise<Sign> {
  if (isSigned === false) return async ({ headers }) => headers
  const { KinesisClient } = await import('@aws-sdk/client-kinesis')
  const client = new KinesisClient({ region })
  const credentials = await client.config.credentials().catch((thrown: unknown) => {
    if (isSigned === undefined) return undefined
    throw new SluiceError(
      'ConfigInvalid',
      `requests to this engine are signed, and there is no access key: ${messageOf(thrown)}. ` +
        '`sluice keys create` makes one; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, name it',
      { cause: thrown },
    )
  })
  if (credentials === undefined) return async ({ headers }) => headers
  const { signRequest } = await import('../../aws/http/sign-request.ts')
  const scope = { signingRegion: region, serviceName: 'iot' }
  return (request) => signRequest(request, scope, credentials)
}

async function send(
  { url: base, isVerified }: Place,
  sign: Sign,
  { method = 'GET', path, query = {}, body: given }: ApiRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const url = new URL(base + path)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, value)
  }
  const body = Buffer.from(given === undefined ? '' : JSON.stringify(given))
  const headers = await sign({
    method,
    url: url.href,
    headers: given === undefined ? [] : [['content-type', 'application/json']],
    body,
  })
  const open = url.protocol === 'https:' ? requestOverTls : requestOverHttp
  const options = {
    method,
    headers: Object.fromEntries(headers),
    signal,
    rejectUnauthorized: !isVerified,
  }
  const request = open(url, options)
  request.end(body)
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  const { statusCode = 0 } = answer
  if (statusCode < 400) return answer
  throw new RefusedError(await textOf(answer), answer.headers['x-amzn-errortype'], statusCode)
}

/** The engine answered with an error. */
class RefusedError extends Error {
  constructor(text: string, code: string | string[] | undefined, status: number) {
    super(`${typeof code === 'string' ? code : status}: ${messageIn(text)}`)
  }
}

function messageIn(text: string): string {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown }
    return typeof message === 'string' ? message : text
  } catch {
    return text
  }
}

function failureOf({ url }: Place, thrown: unknown): SluiceError {
  if (thrown instanceof RefusedError) {
    return new SluiceError('InvalidRequestException', `${url} answers ${thrown.message}`)
  }
  return new SluiceError(
    'ServiceUnavailableException',
    `cannot reach the engine at ${url}: ${messageOf(thrown)}`,
    { cause: thrown },
  )
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > answerBytesMax) throw new Error(`the answer has more than ${answerBytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** Reads what the engine writes: one line with a name and one with data for each event. */
async function* eventsOf(answer: IncomingMessage): AsyncIterable<ApiEvent> {
  answer.setEncoding('utf8')
  let rest = ''
  for await (const chunk of answer as AsyncIterable<string>) {
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const { name, data } = /^event: (?<name>\w+)\ndata: (?<data>.*)$/.exec(block)?.groups ?? {}
      if (name !== undefined && data !== undefined)
        yield { name, data: JSON.parse(data) as unknown }
    }
  }
}
