import type { Writable } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import type { CallSubject, Faults } from '../faults/faults.ts'
import type { LimitSwitches } from '../streams/shard-limits.ts'
import type { Stream } from '../streams/stream.ts'
import type { StreamStore } from '../streams/streams.ts'
import type { Tokens } from '../wire/tokens.ts'
import { readRequest } from '../wire/validation.ts'
import type { Shape } from '../wire/validation.ts'
import type { WireFormat } from '../wire/wire-format.ts'

/** What operations work on. */
export interface OperationContext {
  readonly clock: Clock
  readonly accountId: string
  readonly region: string
  readonly streams: StreamStore
  readonly tokens: Tokens
  readonly faults: Faults
  readonly limits: LimitSwitches
  /** Gives the stream of a put, where a missing one may be made on the spot. */
  streamForPut(name: string): Stream
}

/** One request, as far as it is not the operation's input. */
interface Exchange {
  readonly call: CallSubject
  /** Makes the members of the output that are bytes or times. */
  readonly wire: WireFormat
}

/** The output of an operation, by member. */
export type Output = Readonly<Record<string, unknown>>

/** The output of SubscribeToShard: begins to write it to the body of the answer. */
export type OpenEvents = (body: Writable) => void

/** Undefined for operations that answer with an empty body. */
type Outcome = Output | OpenEvents | undefined

export interface Operation {
  readonly name: string
  /**
   * Reads the input, checks it and carries the operation out.
   *
   * @throws ServiceError
   */
  run(context: OperationContext, input: unknown, exchange: Exchange): Outcome
}

/** An operation of the API: the shape of its input and what it does. */
export function operation<Input>(
  name: string,
  input: Shape<Input>,
  run: (context: OperationContext, input: Input, exchange: Exchange) => Outcome,
): Operation {
  return {
    name,
    run: (context, given, exchange) => run(context, readRequest(input, given), exchange),
  }
}
