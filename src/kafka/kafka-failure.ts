import { protocolErrors } from '@platformatic/kafka'
import { messageOf, shorten } from '../base/errors.ts'
import { failureOf } from '../aws/call/failure-class.ts'
import type { Failure } from '../aws/call/failure-class.ts'
import { KafkaProblem } from './kafka-problem.ts'

/** Characters of a broker's text that a failure shows. */
const messageLengthMax = 500

/** OpenSSL's and Node's codes of certificates that are refused, by either side. */
const tlsCode =
  /^(ERR_TLS|ERR_SSL|ERR_OSSL|EPROTO$|CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|HOSTNAME_MISMATCH)/

/** The failure that stands for anything that a call to a cluster may throw. Never throws. */
export function kafkaFailureOf(thrown: unknown): Failure {
  const chain = chainOf(thrown)
  return (
    first(chain, ofProblem) ??
    first(chain, ofProtocol) ??
    first(chain, ofSystem) ??
    first(chain, ofLibrary) ??
    // Bytes that are no answer of Kafka make exceptions of any kind.
    failure('BadAnswer', messageOf(thrown))
  )
}

/** The failure that an error code in an answer stands for. */
export function failureOfCode(code: number, message?: string): Failure {
  const known = protocolErrorsByCode.get(code)
  // Metrics count by code, so that a broker must not make up any number of them.
  if (known === undefined) return failure('UnknownError', message ?? `error ${code} of the broker`)
  return failure(known.id, message ?? known.message)
}

const protocolErrorsByCode = new Map(
  Object.values(protocolErrors).map((error) => [error.code, error] as const),
)

export function failure(code: string, message: string): Failure {
  return { code, message: shorten(message, messageLengthMax), source: 'Kafka' }
}

/** Errors that one stands for: causes, and the members of several errors. Bounded. */
const chainLengthMax = 32

function chainOf(thrown: unknown): readonly unknown[] {
  const chain: unknown[] = [thrown]
  for (const error of chain) {
    if (chain.length > chainLengthMax) break
    if (!(error instanceof Error)) continue
    if (error.cause !== undefined) chain.push(error.cause)
    if (error instanceof AggregateError) chain.push(...error.errors)
  }
  return chain.slice(0, chainLengthMax)
}

function first(
  chain: readonly unknown[],
  read: (error: Error & Readonly<Record<string, unknown>>) => Failure | undefined,
): Failure | undefined {
  for (const error of chain) {
    if (!(error instanceof Error)) continue
    const found = read(error as Error & Readonly<Record<string, unknown>>)
    if (found !== undefined) return found
  }
  return undefined
}

/** Of Sluice's own; a secret that cannot be read has the error of Secrets Manager behind it. */
function ofProblem(error: Error): Failure | undefined {
  if (error.name === 'AbortError') return failure('AbortError', error.message)
  if (!(error instanceof KafkaProblem)) return undefined
  if (error.code !== 'SecretUnavailable') return failure(error.code, error.message)
  const behind = chainOf(error).findLast((one) => one instanceof Error && one !== error)
  const code = behind === undefined ? error.code : failureOf(behind, 'Kafka').code
  return failure(code === 'Error' ? error.code : code, error.message)
}

function ofProtocol(error: Error & Readonly<Record<string, unknown>>): Failure | undefined {
  const { apiId, serverErrorMessage } = error
  if (typeof apiId !== 'string') return undefined
  return failure(apiId, typeof serverErrorMessage === 'string' ? serverErrorMessage : error.message)
}

function ofSystem(error: Error & Readonly<Record<string, unknown>>): Failure | undefined {
  const { code, syscall } = error
  if (typeof code !== 'string' || code.startsWith('PLT_KFK_')) return undefined
  if (tlsCode.test(code)) return failure('TlsFailed', error.message)
  return typeof syscall === 'string' || code === 'ECONNRESET' || code === 'EndpointRefused'
    ? failure(code, error.message)
    : undefined
}

/** The library's names of its own errors. */
const libraryCodes: ReadonlyMap<string, string> = new Map([
  ['PLT_KFK_AUTHENTICATION', 'SaslFailed'],
  ['PLT_KFK_NETWORK', 'NetworkError'],
  ['PLT_KFK_UNSUPPORTED_API', 'UNSUPPORTED_VERSION'],
  ['PLT_KFK_UNSUPPORTED_COMPRESSION', 'UNSUPPORTED_COMPRESSION_TYPE'],
])

function ofLibrary(error: Error & Readonly<Record<string, unknown>>): Failure | undefined {
  const code = libraryCodes.get(String(error['code']))
  return code === undefined ? undefined : failure(code, error.message)
}
