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
import type { AccountSettings } from './account-settings.ts'

/** What operations need. */
export interface OperationContext {
  readonly clock: Clock
  readonly accountId: string
  readonly region: string
  readonly account: AccountSettings
  readonly streams: StreamStore
  readonly tokens: Tokens
  readonly faults: Faults
  readonly limits: LimitSwitches
  /** Returns the stream of a put; the lab may be configured to create a missing one. */
  streamForPut(name: string): Stream
}

/** One request without the operation's input. */
interface Exchange {
  readonly call: CallSubject
  /** Encodes the members of the output that are bytes or times. */
  readonly wire: WireFormat
}

/** The members of an operation's output. */
export type Output = Readonly<Record<string, unknown>>

/** The output of SubscribeToShard: a function that begins to write events to the response. */
export type OpenEvents = (body: Writable) => void

/** Undefined for operations whose response has an empty body. */
type Outcome = Output | OpenEvents | undefined

export interface Operation {
  readonly name: string
  readonly input: Shape<unknown>
  /**
   * Reads and checks the input, and executes the operation.
   *
   * @throws ServiceError
   */
  run(context: OperationContext, input: unknown, exchange: Exchange): Outcome
  /** Executes the operation with an input that `input` has read. */
  execute(context: OperationContext, input: unknown, exchange: Exchange): Outcome
}

/** Defines an operation of the API by the shape of its input and its implementation. */
export function operation<Input>(
  name: string,
  input: Shape<Input>,
  run: (context: OperationContext, input: Input, exchange: Exchange) => Outcome,
): Operation {
  return {
    name,
    input,
    run: (context, given, exchange) => run(context, readRequest(input, given), exchange),
    execute: (context, read, exchange) => run(context, read as Input, exchange),
  }
}
