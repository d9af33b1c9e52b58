import type { Clock } from '../../clock.ts'
import type { CallSubject, Faults } from '../faults.ts'
import type { Stream, StreamStore } from '../streams.ts'
import type { Tokens } from '../tokens.ts'
import { readRequest } from '../validation.ts'
import type { Shape } from '../validation.ts'

/** What operations work on. */
export interface OperationContext {
  readonly clock: Clock
  readonly accountId: string
  readonly region: string
  readonly streams: StreamStore
  readonly tokens: Tokens
  readonly faults: Faults
  /** Gives the stream of a put, where a missing one may be made on the spot. */
  streamForPut(name: string): Stream
}

/** The output of an operation, by member. */
export type Output = Readonly<Record<string, unknown>>

export interface Operation {
  readonly name: string
  /**
   * Reads the input, checks it and carries the operation out.
   *
   * @returns the output; undefined for operations that answer with an empty body
   * @throws ServiceError
   */
  run(context: OperationContext, input: unknown, call: CallSubject): Output | undefined
}

/** An operation of the API: the shape of its input and what it does. */
export function operation<Input>(
  name: string,
  input: Shape<Input>,
  run: (context: OperationContext, input: Input, call: CallSubject) => Output | undefined,
): Operation {
  return { name, run: (context, given, call) => run(context, readRequest(input, given), call) }
}
