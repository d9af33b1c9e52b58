/**
 * An error response of the lab, with a code of the Kinesis or STS API. The codes of errors.ts are
 * for errors that are thrown across folders; these become HTTP responses.
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

/** The codes whose status is not 400, which Kinesis and STS use for errors of the caller. */
const statuses: Readonly<Record<string, number>> = Object.freeze({
  InternalFailure: 500,
  InternalFailureException: 500,
  InternalServerError: 500,
  ServiceUnavailable: 503,
  ServiceUnavailableException: 503,
  RequestEntityTooLargeException: 413,
  // STS refuses with 403; the status of Kinesis's AccessDeniedException is 400.
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
