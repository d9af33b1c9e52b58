import { messageOf } from '../../base/errors.ts'
import { recordStatuses, serviceFailures } from './service-failures.ts'
import type { Service } from './service-failures.ts'

/**
 * What a failure means: of a whole call to AWS, or of one entry of an answer. The class follows
 * from the failure alone; delivery/call/retry.ts decides how long to wait and when to give up.
 */

/** Why a service or STS did not carry out a call, or did not take one record of it. */
export interface Failure {
  /** The error code of the service, the code of a network error, or the name of the error. */
  readonly code: string
  readonly message: string
  /**
   * The service that failed: STS when it was asked for the role, and Sluice itself when it made no
   * call.
   */
  readonly source: 'AssumeRole' | 'Sluice' | Service
  /**
   * The HTTP status, when there was an answer to the whole call. Of an entry: 400 or 500, where the
   * service says whose fault it is.
   */
  readonly status?: number | undefined
  /** How long the service asks to be left alone, in milliseconds. */
  readonly retryAfterMs?: number | undefined
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

/** The cause of a failure: it passes by itself, the destination refuses, or the record is wrong. */
export type FailureClass = 'passing' | 'destination' | 'record'

/** From the Kinesis API Reference (PutRecord, PutRecords, common errors) and STS AssumeRole. */
const passingCodes: ReadonlySet<string> = new Set([
  'ProvisionedThroughputExceededException',
  'LimitExceededException',
  'KMSThrottlingException',
  'Throttling',
  'ThrottlingException',
  'ThrottledException',
  'RequestThrottled',
  'RequestThrottledException',
  'RequestLimitExceeded',
  'TooManyRequestsException',
  'SlowDown',
  'InternalFailure',
  'InternalFailureException',
  'InternalServerError',
  'InternalError',
  'ServiceUnavailable',
  'ServiceUnavailableException',
  // The stream is being changed: for example resharded, or not yet active.
  'ResourceInUseException',
  'ExpiredToken',
  'ExpiredTokenException',
  // This machine's clock was wrong, or the call waited too long. The next call is signed anew.
  'RequestExpired',
  'RequestTimeout',
  'RequestTimeoutException',
  'TimeoutError',
  'AbortError',
])

/** Sluice's own code for a record over the stream's MaxRecordSizeInKiB, which is never sent. */
export const recordTooLarge = 'RecordTooLarge'

/** Sluice's own code for records of a kind that this release does not send. */
export const senderMissing = 'SenderMissing'

/** Sluice's own code for a service that AWS has ended, and for which no other server is named. */
export const endpointMissing = 'EndpointMissing'

/** Sluice's own code for a server that it does not call, because of its address. */
const endpointRefused = 'EndpointRefused'

const recordCodes: ReadonlySet<string> = new Set([
  'InvalidArgumentException',
  'ValidationException',
  'SerializationException',
  'RequestEntityTooLarge',
  recordTooLarge,
])

/** What AWS says of the credentials that a call was signed with (common errors, AWS STS). */
export type SessionRefusal = 'expired' | 'unknown'

const sessionRefusals: ReadonlyMap<string, SessionRefusal> = new Map([
  ['ExpiredToken', 'expired'],
  ['ExpiredTokenException', 'expired'],
  ['UnrecognizedClientException', 'unknown'],
  ['InvalidClientTokenId', 'unknown'],
  // Amazon S3 API Reference, "Error responses".
  ['InvalidAccessKeyId', 'unknown'],
  ['InvalidToken', 'unknown'],
])

/** Conditions of the destination. Entries of an answer have no status that could tell. */
const destinationCodes: ReadonlySet<string> = new Set([
  'ResourceNotFoundException',
  'AccessDenied',
  'AccessDeniedException',
  'KMSAccessDeniedException',
  'KMSDisabledException',
  'KMSInvalidStateException',
  'KMSNotFoundException',
  'KMSOptInRequired',
  // There are no credentials to assume the role with: no profile, no variables, no host role.
  'CredentialsProviderError',
  senderMissing,
  endpointRefused,
  endpointMissing,
])

const payloadTooLargeStatus = 413
const tooManyRequestsStatus = 429
const redirectionStatus = 300

/** Classifies a failure by its code. A code that is in no list is judged by the HTTP status. */
export function classify({ code, source, status }: Failure): FailureClass {
  const isService = source !== 'AssumeRole' && source !== 'Sluice'
  const ofService = isService ? serviceFailures[source].get(code) : undefined
  if (ofService !== undefined) return ofService
  if (passingCodes.has(code)) return 'passing'
  if (destinationCodes.has(code)) return 'destination'
  const ofRecord =
    recordCodes.has(code) ||
    status === payloadTooLargeStatus ||
    (status !== undefined && recordStatuses[source]?.has(status))
  if (ofRecord) return source === 'AssumeRole' ? 'destination' : 'record'
  return isPassingStatus(status) ? 'passing' : 'destination'
}

/**
 * Without a status there was no answer. With one of success there was an answer that cannot be
 * read, such as the page of a proxy: the service may have taken the records.
 */
function isPassingStatus(status: number | undefined): boolean {
  if (status === undefined || status >= 500) return true
  return status < redirectionStatus || status === tooManyRequestsStatus
}

/**
 * Why the credentials of a call must be dropped before the next call.
 *
 * @param code the code of the failure
 * @returns undefined when the failure says nothing of the credentials
 */
export function sessionRefusalOf(code: string): SessionRefusal | undefined {
  return sessionRefusals.get(code)
}

/** The operations for several records, by the action that a policy names. */
const batchActions: Readonly<Partial<Record<Failure['source'], string>>> = {
  Kinesis: 'kinesis:PutRecords',
  Firehose: 'firehose:PutRecordBatch',
}

/**
 * True when a role may allow only the operation for single records, which is all that the AWS IoT
 * documentation grants. The message of AWS names the action that was refused: another one, such as
 * that of a KMS key, is needed for single records as well. A message that names no action leaves
 * the operation to decide.
 *
 * @param failure of a call with several records
 */
export function deniesBatch({ code, message, source }: Failure): boolean {
  const batchAction = batchActions[source]
  if (batchAction === undefined || !code.startsWith('AccessDenied')) return false
  const [, action = batchAction] = /not authorized to perform: ([\w:*]+)/.exec(message) ?? []
  return action === batchAction
}

/** True when one shard is over its limit, not the whole stream: other shards take records. */
export function isShardThrottle({ code, source }: Failure): boolean {
  return source === 'Kinesis' && code === 'ProvisionedThroughputExceededException'
}

const kafkaAdvice: ReadonlyMap<string, string> = new Map([
  ['UNKNOWN_TOPIC_OR_PARTITION', 'create the topic in the cluster, or correct topic in the rule'],
  ['TOPIC_AUTHORIZATION_FAILED', 'allow the user of clientProperties to write to the topic'],
  ['SASL_AUTHENTICATION_FAILED', 'correct the user and the password in clientProperties'],
  ['TlsFailed', 'check ssl.truststore and ssl.keystore in clientProperties'],
])

/** Advice for the log: what the operator can do about a condition of the destination. */
export function adviceOn({ code, source }: Failure): string {
  if (source === 'AssumeRole') {
    return "let the role's trust policy admit the identity that Sluice runs under (sts:AssumeRole)"
  }
  if (code === senderMissing) {
    return 'start a release of Sluice that sends to this service; until then the records wait'
  }
  if (code === endpointMissing) {
    return 'set the variable that the message names to the URL of a server, or delete the rule'
  }
  if (code === endpointRefused) {
    return 'list the host in the variable that the message names, or correct the URL in the rule'
  }
  if (source === 'Kafka') return kafkaAdvice.get(code) ?? 'see the message'
  if (code === 'ResourceNotFoundException') {
    return source === 'Kinesis'
      ? 'create the stream, or correct streamName in the rule'
      : `create the target in ${source}, or correct its name in the rule`
  }
  if (code === 'DestinationNotEnabled') {
    return 'confirm the topic rule destination, or set it to ENABLED'
  }
  if (/^KMS/i.test(code)) return "check the target's KMS key and that the role may use it"
  if (code.startsWith('AccessDenied')) {
    return source === 'Kinesis'
      ? 'allow kinesis:PutRecord on the stream in the role'
      : 'allow the call that the message names in the role of the action'
  }
  return 'see the message of the service'
}
