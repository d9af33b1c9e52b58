import { messageOf } from '../../base/errors.ts'
import { unlessAborted } from '../../base/unless-aborted.ts'
import type { AwsCredentials, RoleCredentials } from './credentials.ts'
import { sessionRefusalOf } from './failure-class.ts'
import type { Failure } from './failure-class.ts'
import type { Service } from './service-failures.ts'

/** Whose credentials sign the calls of a client. */
export type Identity = Pick<RoleCredentials, 'current' | 'drop'>

/**
 * This process itself. The SDK renews the process's own credentials, except those that AWS calls
 * expired.
 */
export function identityOfProcess(client: ClientOfProcess): Identity {
  return {
    current: () => client.config.credentials() as Promise<AwsCredentials>,
    drop: () => void client.config.credentials({ forceRefresh: true }).catch(() => undefined),
  }
}

/** The part of the SDK's clients that knows the credentials. */
interface ClientOfProcess {
  readonly config: {
    readonly credentials: (options?: { readonly forceRefresh: boolean }) => Promise<unknown>
  }
}

type Attempt<Answer> =
  { readonly ok: true; readonly answer: Answer } | { readonly ok: false; readonly failure: Failure }

/**
 * Makes a call to a service, and drops the credentials of the identity when AWS refuses them. Never
 * rejects.
 */
export async function attemptAs<Answer>(
  identity: Identity,
  service: Service,
  signal: AbortSignal,
  call: () => Promise<Answer>,
): Promise<Attempt<Answer>> {
  let used: AwsCredentials
  try {
    // An abort ends only this wait: other callers of the role may be waiting for the same answer.
    used = await unlessAborted(identity.current(), signal)
  } catch (error) {
    return { ok: false, failure: failureOf(error, 'AssumeRole') }
  }
  try {
    return { ok: true, answer: await call() }
  } catch (error) {
    const failure = failureOf(error, service)
    const refusal = sessionRefusalOf(failure.code)
    if (refusal) identity.drop(used, refusal)
    return { ok: false, failure }
  }
}

/** The failure that stands for an error of the service, of the network or of reading the answer. */
export function failureOf(thrown: unknown, source: Failure['source']): Failure {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const status = statusOf(error)
  return {
    code: codeOf(error),
    message: messageOf(error),
    source,
    status,
  }
}

/**
 * Error names that say less than the error's code: the SDK also names a cut connection a timeout.
 */
const vagueNames: ReadonlySet<string> = new Set(['Error', 'AggregateError', 'TimeoutError'])

function codeOf(error: Error): string {
  if (!vagueNames.has(error.name) || !('code' in error)) return error.name
  const { code } = error
  return typeof code === 'string' && code !== 'ETIMEDOUT' ? code : error.name
}

function statusOf(error: Error): number | undefined {
  if (!('$metadata' in error)) return undefined
  const metadata = error.$metadata as { readonly httpStatusCode?: number } | undefined
  return metadata?.httpStatusCode
}
