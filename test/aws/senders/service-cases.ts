import type { RuleMessage, ServiceAnswer } from './recording-service.ts'

/** An operation with its parameters, as the service got it. */
export type Request = readonly [operation: string, parameters: unknown]

/** How one service is called, and what its answers mean. */
export interface ServiceCase {
  readonly name: string
  readonly definition: object
  /** Two messages. The first is sent alone, and both are sent together. */
  readonly messages?: readonly RuleMessage[]
  readonly one: { readonly answer: ServiceAnswer; readonly sent: Request }
  /** Absent: the service takes records one by one. */
  readonly several?: { readonly answer: ServiceAnswer; readonly sent: Request }
  /** Answers to both records, and the outcomes; one for the whole call when all of it failed. */
  readonly parts?: readonly (readonly [
    what: string,
    answer: ServiceAnswer,
    outcomes: readonly string[] | string,
  ])[]
  /** Answers to one record, and what the failure of the call means. */
  readonly failures: readonly (readonly [what: string, answer: ServiceAnswer, meaning: string])[]
}

/** Messages of two devices. */
export const twoDevices: readonly RuleMessage[] = ['a', 'b'].map((id, index) => ({
  output: `{"t":${index + 0.5}}`,
  payload: { id },
}))

/** The time of the messages, in epoch milliseconds. */
export const messageMs = 1_700_000_000_000

/** An error of a service that speaks JSON. */
export function jsonError(
  code: string,
  message = 'refused',
  { status = 400, headers = {} }: Pick<ServiceAnswer, 'status' | 'headers'> = {},
): ServiceAnswer {
  return { status, body: { __type: `com.amazonaws#${code}`, message }, headers }
}

/** An error of a service that speaks REST with JSON. */
export function restError(status: number, code: string): ServiceAnswer {
  return {
    status,
    body: { message: 'refused', Message: 'refused' },
    headers: { 'x-amzn-errortype': `${code}:http://internal.amazon.com/coral/` },
  }
}

/** An error of a service that speaks the query protocol. */
export function queryError(status: number, code: string): ServiceAnswer {
  return {
    status,
    body: `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>refused</Message></Error><RequestId>1</RequestId></ErrorResponse>`,
  }
}

/** An error that any service can give, in the form of a proxy in front of it. */
export const unavailable: ServiceAnswer = { status: 503, body: '<html>Service Unavailable</html>' }
