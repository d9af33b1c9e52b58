/**
 * What a failure of an AWS call means, for entries of an answer and for whole calls alike. Pure:
 * the class follows from the failure alone; delivery/call/retry.ts says what is done about it.
 */
/** Why Kinesis or STS did not carry out a call, or did not take one record of it. */
export interface Failure {
  /** The error code of the service, the code of a network error, or the name of the error. */
  readonly code: string
  readonly message: string
  /** The service that failed: STS when it was asked for the role, otherwise Kinesis. */
  readonly source: 'AssumeRole' | 'Kinesis'
  /** The HTTP status, when there was an answer to the whole call. */
  readonly status?: number | undefined
}

/** Whose failure it is, and thereby who has to wait. */
export type FailureClass = 'passing' | 'destination' | 'record'

/** Kinesis API Reference, errors of PutRecord and PutRecords; common errors; STS AssumeRole. */
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
  // The stream is being changed, e.g. resharded or still being made.
  'ResourceInUseException',
  'ExpiredToken',
  'ExpiredTokenException',
  // The clock was off, or the call waited too long: the next one is signed anew.
  'RequestExpired',
  'RequestTimeout',
  'RequestTimeoutException',
  'TimeoutError',
  'AbortError',
])

/** Our own word for a record over the stream's MaxRecordSizeInKiB, which is not sent at all. */
export const recordTooLarge = 'RecordTooLarge'

const recordCodes: ReadonlySet<string> = new Set([
  'InvalidArgumentException',
  'ValidationException',
  'SerializationException',
  'RequestEntityTooLarge',
  recordTooLarge,
])

const expiredTokenCodes: ReadonlySet<string> = new Set(['ExpiredToken', 'ExpiredTokenException'])

/** Conditions of the destination, even where no status says so: entries of an answer have none. */
const destinationCodes: ReadonlySet<string> = new Set([
  'ResourceNotFoundException',
  'AccessDenied',
  'AccessDeniedException',
  'KMSAccessDeniedException',
  'KMSDisabledException',
  'KMSInvalidStateException',
  'KMSNotFoundException',
  'KMSOptInRequired',
  // Nothing to assume the role with: no profile, no variables, no host role.
  'CredentialsProviderError',
])

const payloadTooLargeStatus = 413
const tooManyRequestsStatus = 429

/** What a failure means. A code that is in no list is judged by its status. */
export function classify({ code, source, status }: Failure): FailureClass {
  if (passingCodes.has(code)) return 'passing'
  if (destinationCodes.has(code)) return 'destination'
  const ofRecord = recordCodes.has(code) || status === payloadTooLargeStatus
  if (ofRecord) return source === 'AssumeRole' ? 'destination' : 'record'
  // No status: there was no answer, or one that could not be read, such as a page of a proxy.
  if (status === undefined || status >= 500 || status === tooManyRequestsStatus) return 'passing'
  return 'destination'
}

/** True when the credentials of the call are to be dropped before the next. */
export function isExpiredToken({ code }: Failure): boolean {
  return expiredTokenCodes.has(code)
}

/**
 * True when the role allows PutRecord only: AWS IoT's own documents grant no more.
 * The message of AccessDeniedException names the action that was refused.
 */
export function deniesPutRecords({ code, message }: Failure): boolean {
  return code.startsWith('AccessDenied') && /\bkinesis:PutRecords\b/.test(message)
}

/** True when one shard, not the whole stream, is over its limit: others may be written to. */
export function isShardThrottle({ code }: Failure): boolean {
  return code === 'ProvisionedThroughputExceededException'
}

/** What the operator can do about a condition of the destination, for the log. */
export function adviceOn({ code, source }: Failure): string {
  if (source === 'AssumeRole') {
    return "let the role's trust policy admit the identity that Sluice runs under (sts:AssumeRole)"
  }
  if (code === 'ResourceNotFoundException') {
    return 'create the stream, or correct streamName in the rule'
  }
  if (code.startsWith('KMS')) return "check the stream's KMS key and that the role may use it"
  if (code.startsWith('AccessDenied')) return 'allow kinesis:PutRecord on the stream in the role'
  return 'see the message of the service'
}
