import { describe, expect, test } from 'vitest'
import type { Failure } from '../../../src/aws/call/failure-class.ts'
import {
  adviceOn,
  classify,
  deniesBatch,
  sessionRefusalOf,
} from '../../../src/aws/call/failure-class.ts'
import { isTooOld, retryDelayMs } from '../../../src/delivery/call/retry.ts'

const failure = (
  code: string,
  status?: number,
  source: Failure['source'] = 'Kinesis',
): Failure => ({
  code,
  message: '',
  source,
  ...(status === undefined ? {} : { status }),
})

describe('what a failure means', () => {
  test.each([
    ['a throttled shard', failure('ProvisionedThroughputExceededException', 400)],
    ['a throttled entry', failure('ProvisionedThroughputExceededException')],
    ['a throttled call', failure('LimitExceededException', 400)],
    ['a throttled caller', failure('ThrottlingException', 400)],
    ['a throttled key service', failure('KMSThrottlingException', 400)],
    ['an entry that failed inside', failure('InternalFailure')],
    ['a fault of the service', failure('InternalFailureException', 500)],
    ['a stream that is being changed', failure('ResourceInUseException', 400)],
    ['an expired token', failure('ExpiredTokenException', 400)],
    ['a page of HTML in place of an answer', failure('SyntaxError')],
    ['an unknown code of a 503', failure('SomethingNew', 503)],
    ['an unknown code of a 429', failure('SomethingNew', 429)],
    ['a refused connection', failure('ECONNREFUSED')],
    ['a cut connection', failure('ECONNRESET')],
    ['a name that is not found', failure('ENOTFOUND')],
    ['a timeout', failure('TimeoutError')],
    ['STS that is not there', failure('ECONNREFUSED', undefined, 'AssumeRole')],
    ['STS that is throttled', failure('Throttling', 400, 'AssumeRole')],
  ])('%s passes', (_, given) => {
    expect(classify(given)).toBe('passing')
  })

  test.each([
    ['a missing stream', failure('ResourceNotFoundException', 400)],
    ['a denied call', failure('AccessDeniedException', 400)],
    ['a key that may not be used', failure('KMSAccessDeniedException', 400)],
    ['a key that may not be used, for an entry', failure('KMSAccessDeniedException')],
    ['a disabled key', failure('KMSDisabledException', 400)],
    ['a key in the wrong state', failure('KMSInvalidStateException', 400)],
    ['a missing key', failure('KMSNotFoundException', 400)],
    ['an unknown key id', failure('UnrecognizedClientException', 400)],
    ['a role that is refused', failure('AccessDenied', 403, 'AssumeRole')],
    ['a role that cannot be', failure('ValidationError', 400, 'AssumeRole')],
    ['no one to assume the role', failure('CredentialsProviderError', undefined, 'AssumeRole')],
    ['an unknown code of a 400', failure('SomethingNew', 400)],
  ])('%s is a condition of the destination', (_, given) => {
    expect(classify(given)).toBe('destination')
  })

  test.each([
    ['an invalid argument', failure('InvalidArgumentException', 400)],
    ['a failed validation', failure('ValidationException', 400)],
    ['a body that cannot be read', failure('SerializationException', 400)],
    ['a body that is too large', failure('SomethingNew', 413)],
    ['a record over the limit of its stream', failure('RecordTooLarge')],
  ])('%s is the fault of a record', (_, given) => {
    expect(classify(given)).toBe('record')
  })
})

describe('the delay after a failure', () => {
  test.each([
    ['passing', 1, 0, 100],
    ['passing', 2, 0, 200],
    ['passing', 6, 0, 3_200],
    ['passing', 7, 0, 5_000],
    ['passing', 1_000, 0, 5_000],
    ['destination', 1, 500, 1_000],
    ['destination', 3, 2_000, 4_000],
    ['destination', 7, 30_000, 60_000],
    ['destination', 1_000, 30_000, 60_000],
  ] as const)('%s, failure %i in a row: from %i to %i ms', (failureClass, attempts, from, to) => {
    expect(retryDelayMs(failureClass, attempts, 0)).toBe(from)
    expect(retryDelayMs(failureClass, attempts, 1 - Number.EPSILON)).toBeCloseTo(to, 3)
  })
})

describe('a record is given up while its destination refuses everything', () => {
  const day = 86_400_000
  test.each([
    ['young', day - 1, day, day, false],
    ['old enough', day, 60_000, day, true],
    ['old, when the destination has refused for less than a minute', 2 * day, 59_999, day, false],
    ['old enough for a short age', 5_000, 5_000, 5_000, true],
    ['old enough for an age of nothing', 0, 0, 0, true],
  ])('%s', (_, ageMs, standingMs, maxAgeMs, expected) => {
    expect(isTooOld(ageMs, standingMs, maxAgeMs)).toBe(expected)
  })
})

const denied = (action: string) =>
  `User: arn:aws:sts::1:assumed-role/r/sluice is not authorized to perform: ${action} on resource: arn`

describe('single failures', () => {
  test.each<[string, Partial<Failure>, boolean]>([
    ['a refusal of PutRecords', { message: denied('kinesis:PutRecords') }, true],
    ['a refusal of PutRecord', { message: denied('kinesis:PutRecord') }, false],
    ['a refusal of the key', { message: denied('kms:GenerateDataKey') }, false],
    ['a refusal that names no action', { message: 'AccessDeniedException' }, true],
    ['a refusal without a message', { message: '' }, true],
    ['a refusal of the role', { message: denied('sts:AssumeRole'), source: 'AssumeRole' }, false],
    ['a refusal by STS that names no action', { message: '', source: 'AssumeRole' }, false],
    ['another error', { code: 'ResourceNotFoundException', message: '' }, false],
  ])('%s to a call of PutRecords', (_, given, expected) => {
    const all = { ...failure('AccessDeniedException', 400), ...given }
    expect(deniesBatch(all)).toBe(expected)
  })

  test.each([
    ['ExpiredTokenException', true],
    ['ExpiredToken', true],
    ['InvalidClientTokenId', false],
  ])('%s: the token has expired: %s', (code, expected) => {
    expect(sessionRefusalOf(code) === 'expired').toBe(expected)
  })

  test.each([
    [failure('AccessDenied', 403, 'AssumeRole'), /trust policy/],
    [failure('ResourceNotFoundException', 400), /create the stream/],
    [failure('AccessDeniedException', 400), /kinesis:PutRecord/],
    [failure('KMSDisabledException', 400), /KMS key/],
    [failure('SomethingNew', 400), /message of the service/],
  ])('%o: the log says what to do', (given, advice) => {
    expect(adviceOn(given)).toMatch(advice)
  })
})
