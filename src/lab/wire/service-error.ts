/**
 * A failure that the lab answers a client with: a code of the Kinesis or STS API, never one of
 * errors.ts, because it leaves the folder as an HTTP answer and not as a throw.
 */
export class ServiceError extends Error {
  readonly code: string
  readonly status: number

  constructor(code: string, message: string, status = statusOf(code)) {
    super(message)
    this.name = code
    this.code = code
    this.status = status
  }
}

/** Kinesis and STS answer 400 for all that the caller could mend; these are the others. */
const statuses: Readonly<Record<string, number>> = Object.freeze({
  InternalFailure: 500,
  InternalFailureException: 500,
  InternalServerError: 500,
  ServiceUnavailable: 503,
  ServiceUnavailableException: 503,
  RequestEntityTooLargeException: 413,
  // STS answers refusals with 403; Kinesis's AccessDeniedException and the like are 400.
  AccessDenied: 403,
  ExpiredToken: 403,
  InvalidClientTokenId: 403,
  MissingAuthenticationToken: 403,
  SignatureDoesNotMatch: 403,
})

/** HTTP status of an error code of Kinesis or STS. */
export function statusOf(code: string): number {
  return statuses[code] ?? 400
}

export const invalidArgument = (message: string) =>
  new ServiceError('InvalidArgumentException', message)

export const notFound = (message: string) => new ServiceError('ResourceNotFoundException', message)
