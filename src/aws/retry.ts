/**
 * The one retry policy, for entries of an answer and for whole calls alike. Pure: what a failure
 * means, how long to wait and when to give up follow from the failure and a few numbers alone.
 *
 * | class       | examples                                    | delay                       | given up            |
 * | ----------- | ------------------------------------------- | --------------------------- | ------------------- |
 * | passing     | throttles, 5xx, network, expired token      | full jitter, 100 ms to 5 s  | never               |
 * | destination | missing stream, access denied, role refused | half to full, 1 s to 60 s   | after `maxAgeMs`    |
 * | record      | too large, refused for what it is           | none                        | at once             |
 */
import type { Failure } from './kinesis-calls.ts'

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

const passingDelayMinMs = 100
const passingDelayMaxMs = 5_000
const standingDelayMinMs = 1_000
const standingDelayMaxMs = 60_000

/**
 * How long to wait after a failure.
 *
 * @param attempts failures in a row, this one counted: 1 or more
 * @param random a number in [0, 1)
 */
export function retryDelayMs(
  failureClass: Exclude<FailureClass, 'record'>,
  attempts: number,
  random: number,
): number {
  if (failureClass === 'passing') {
    // Full jitter: callers that failed together do not come back together.
    return random * grown(passingDelayMinMs, passingDelayMaxMs, attempts)
  }
  // Never near zero: it does not pass by itself, and each call may cost a line in a log of AWS.
  return (0.5 + random / 2) * grown(standingDelayMinMs, standingDelayMaxMs, attempts)
}

/** A condition of a moment, such as a policy that is being replaced, makes nothing given up. */
const standingMinMs = 60_000

/**
 * Whether a record is given up while its destination refuses all.
 *
 * @param ageMs since it was accepted
 * @param standingMs since the destination began to refuse, as far as this process knows
 */
export function isTooOld(ageMs: number, standingMs: number, maxAgeMs: number): boolean {
  return ageMs >= maxAgeMs && standingMs >= Math.min(standingMinMs, maxAgeMs)
}

function grown(minMs: number, maxMs: number, attempts: number): number {
  return Math.min(maxMs, minMs * 2 ** (attempts - 1))
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
