import { storedCredentials } from './credentials.ts'
import { signRequest } from './sign-request.ts'

/** An answer of the engine that says why it did not do what was asked. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly code: string
  /** Whether something should only be read. */
  readonly isRead: boolean

  constructor(status: number, code: string, message: string, isRead = true) {
    super(message)
    this.status = status
    this.code = code
    this.isRead = isRead
  }
}

/** The engine did not answer: it has stopped, or the network is gone. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError'
}

/** The codes that ask for an access key, or for another one. */
const signInCodes: ReadonlySet<string> = new Set([
  'MissingAuthenticationTokenException',
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'IncompleteSignatureException',
  'ExpiredTokenException',
])

export const asksForKey = (thrown: unknown): boolean =>
  thrown instanceof ApiError && signInCodes.has(thrown.code)

/** The event of the window when the key of this tab, or having none, is refused. */
export const keyRefused = 'sluice-key-refused'

/** An answer to a question begins within this time, or nobody is there. */
const answerMs = 30_000
/** What proxies say while the engine is away. */
const awayStatuses: ReadonlySet<number> = new Set([502, 503, 504])

const unreachable = () => new UnreachableError('The engine does not answer.')

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
  readonly signal?: AbortSignal
}

/**
 * @throws ApiError (rejects): the engine refuses it; UnreachableError: it does not answer; an
 *   AbortError when the signal aborts
 */
export async function send({
  method = 'GET',
  path,
  query = {},
  body: given,
  signal,
}: ApiRequest): Promise<Response> {
  const url = new URL(path, location.origin)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') url.searchParams.set(name, value)
  }
  const body = given === undefined ? '' : JSON.stringify(given)
  const credentials = storedCredentials()
  const signed =
    credentials === undefined ? {} : await signRequest({ method, url, body }, credentials)
  const answer = await answerTo(
    url,
    {
      method,
      headers: { ...signed, ...(body !== '' && { 'content-type': 'application/json' }) },
      ...(body !== '' && { body }),
      cache: 'no-store',
      credentials: 'same-origin',
    },
    signal,
  )
  if (answer.ok) return answer
  const text = await textOf(answer, signal)
  const message = messageIn(text)
  if (message === undefined && awayStatuses.has(answer.status)) throw unreachable()
  const error = new ApiError(
    answer.status,
    answer.headers.get('x-amzn-errortype') ?? String(answer.status),
    message ?? `HTTP ${answer.status}, which is no answer of the engine.`,
    method === 'GET',
  )
  // The answer to a key that is no longer the one of this tab says nothing.
  const isCurrent = storedCredentials()?.secretAccessKey === credentials?.secretAccessKey
  if (isCurrent && asksForKey(error)) dispatchEvent(new Event(keyRefused))
  throw error
}

async function answerTo(
  url: URL,
  init: RequestInit,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const ending = new AbortController()
  const end = () => ending.abort()
  // A function may take minutes; what is read is there at once.
  const timer = init.method === 'GET' ? setTimeout(end, answerMs) : undefined
  if (signal?.aborted === true) end()
  signal?.addEventListener('abort', end)
  try {
    return await fetch(url, { ...init, signal: ending.signal })
  } catch (thrown) {
    if (signal?.aborted === true) throw thrown
    throw unreachable()
  } finally {
    clearTimeout(timer)
  }
}

/** The engine may stop in the middle of an answer. */
async function textOf(answer: Response, signal: AbortSignal | undefined): Promise<string> {
  try {
    return await answer.text()
  } catch (thrown) {
    if (signal?.aborted === true) throw thrown
    throw unreachable()
  }
}

/** The answer as JSON; undefined when it is empty. Throws like `send`. */
export async function call<Answer>(request: ApiRequest): Promise<Answer> {
  const answer = await send(request)
  const text = await textOf(answer, request.signal)
  try {
    return (text === '' ? undefined : JSON.parse(text)) as Answer
  } catch {
    throw new ApiError(answer.status, 'NoJson', 'What answers is not the engine: it sends no JSON.')
  }
}

/** Undefined for what the engine does not say: a proxy has pages of its own. */
function messageIn(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown }
    return typeof message === 'string' ? message : text
  } catch {
    return undefined
  }
}
