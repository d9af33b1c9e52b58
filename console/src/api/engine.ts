import { storedCredentials } from './credentials.ts'
import { signRequest } from './sign-request.ts'

/** An answer of the engine that says why it did not do what was asked. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
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
  const answer = await fetch(url, {
    method,
    headers: { ...signed, ...(body !== '' && { 'content-type': 'application/json' }) },
    ...(body !== '' && { body }),
    ...(signal && { signal }),
    cache: 'no-store',
    credentials: 'same-origin',
  }).catch((thrown: unknown) => {
    if (signal?.aborted === true) throw thrown
    throw new UnreachableError('The engine does not answer.')
  })
  if (answer.ok) return answer
  const text = await answer.text()
  throw new ApiError(
    answer.status,
    answer.headers.get('x-amzn-errortype') ?? String(answer.status),
    messageIn(text) || answer.statusText,
  )
}

/** The answer as JSON; undefined when it is empty. Throws like `send`. */
export async function call<Answer>(request: ApiRequest): Promise<Answer> {
  const text = await (await send(request)).text()
  return (text === '' ? undefined : JSON.parse(text)) as Answer
}

function messageIn(text: string): string {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown }
    return typeof message === 'string' ? message : text
  } catch {
    return text
  }
}
