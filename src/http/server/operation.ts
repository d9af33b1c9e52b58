import { Type } from 'typebox'
import type { TObject, TSchema } from 'typebox'
import type { ErrorCode } from '../../base/errors.ts'

/** How the OpenAPI document calls an operation of the API; what it takes stands with its route. */
export interface Operation {
  /** AWS's own name where the operation is AWS's. */
  readonly id: string
  readonly summary: string
  readonly description?: string
  /** Of a route that ends in `*`: what its rest is, for the document. */
  readonly rest?: { readonly name: string; readonly description: string }
  /** Those that mean something; every other is passed over. */
  readonly headers?: TObject
  readonly body?: OperationBody
  readonly answer: OperationAnswer
  /** Another answer that is no error, by its status. */
  readonly otherAnswers?: Readonly<Record<number, OperationAnswer>>
  /** Those of its own; what every operation may answer is in `commonErrors`. */
  readonly errors: readonly ErrorCode[]
}

export interface OperationBody {
  readonly schema: TSchema
  /** Absent: `application/json`. */
  readonly type?: string
  readonly isOptional?: true
}

export interface OperationAnswer {
  readonly description: string
  /** Absent: the body is empty. */
  readonly schema?: TSchema
  /** Absent: `application/json`. */
  readonly type?: string
}

/** By `METHOD /path/:parameter`, as the routes have it. */
export type Operations = Readonly<Record<string, Operation>>

/** Of whoever asks without the right to, or too often; the first of them while signatures are asked for. */
export const commonErrors: readonly ErrorCode[] = Object.freeze([
  'AccessDeniedException',
  'MissingAuthenticationTokenException',
  'IncompleteSignatureException',
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'ExpiredTokenException',
  'ThrottlingException',
])

export const nextTokenSchema = Type.Optional(
  Type.String({ description: 'Where to go on; absent at the end.' }),
)
export const epochMs = (description: string) => Type.Number({ description })
export const emptyAnswer: OperationAnswer = { description: 'Done; the body is empty.' }
