import { Type } from 'typebox'
import type { TObject, TSchema } from 'typebox'
import type { ErrorCode } from '../../base/errors.ts'

/**
 * What the documents say about an operation. It stands in the schema of its route, beside the path
 * parameters and the query that the route validates with.
 */
export interface Operation {
  /** The name of the operation; AWS's own name where the operation is AWS's. */
  readonly id: string
  /** The id in the API document, where another API has an operation of that name. */
  readonly documentId?: string | undefined
  readonly summary: string
  readonly description?: string | undefined
  /** For a route that ends in `*`: the name and the meaning of the rest of the path. */
  readonly rest?: { readonly name: string; readonly description: string } | undefined
  /** The headers that have a meaning; all others are ignored. */
  readonly headers?: TObject | undefined
  readonly body?: OperationBody | undefined
  readonly answer: OperationAnswer
  /** Further answers that are no errors. */
  readonly otherAnswers?: readonly OperationAnswer[] | undefined
  /** The errors of this operation; `commonErrors` are the errors of all. */
  readonly errors: readonly ErrorCode[]
  /**
   * Who may call it besides those who sign: anyone, the bearer of the metrics token, or anyone who
   * does not sign, because the path itself holds a secret.
   */
  readonly access?: 'anyone' | 'metricsToken' | 'unsigned' | undefined
}

interface OperationBody {
  readonly schema: TSchema
  /** By default `application/json`. */
  readonly type?: string | undefined
  readonly isOptional?: boolean | undefined
}

export interface OperationAnswer {
  /** The HTTP status; by default 200. */
  readonly status?: number | undefined
  readonly description: string
  /** Absent: the body is empty. */
  readonly schema?: TSchema | undefined
  /** By default `application/json`. */
  readonly type?: string | undefined
}

/** An operation with the route that serves it, such as `GET` and `/rules/:ruleName`. */
export interface RoutedOperation {
  readonly method: string
  readonly url: string
  readonly operation: Operation
}

/** The errors of every operation; all but the first and the last only while requests are signed. */
export const commonErrors: readonly ErrorCode[] = Object.freeze([
  'AccessDeniedException',
  'MissingAuthenticationTokenException',
  'IncompleteSignatureException',
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'ExpiredTokenException',
  'ThrottlingException',
])

/** One kind of error under the names that different operations of AWS declare for it. */
const synonyms: readonly (readonly ErrorCode[])[] = [
  ['InternalException', 'InternalFailureException', 'ServiceException'],
  ['InvalidRequestException', 'InvalidParameterValueException'],
  ['ThrottlingException', 'TooManyRequestsException'],
]

/**
 * @returns the name that the operation declares for an error of this kind, or else the same code
 */
export function declaredCode(code: ErrorCode, operation: Operation | undefined): ErrorCode {
  const { errors = [] } = operation ?? {}
  if (errors.includes(code)) return code
  const family = synonyms.find((codes) => codes.includes(code))
  return family?.find((name) => errors.includes(name)) ?? code
}

export const nextTokenSchema = Type.Optional(
  Type.String({ description: 'The token of the next page; absent on the last page.' }),
)
export const epochMs = (description: string) => Type.Number({ description })
export const emptyAnswer: OperationAnswer = { description: 'Done; the body is empty.' }
