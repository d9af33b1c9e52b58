import { JetStreamApiError } from '@nats-io/jetstream'
import type { ApiError } from '@nats-io/jetstream'
import { errors, headers as createHeaders } from '@nats-io/transport-node'
import type { MsgHdrs, NatsConnection } from '@nats-io/transport-node'
import { SluiceError } from '../../base/errors.ts'
import { apiCodes, problemOfRequest } from '../nats/nats-problem.ts'

/** A message of a batch. */
export interface BatchMessage {
  readonly subject: string
  readonly data: Uint8Array
  readonly headers?: readonly (readonly [name: string, value: string])[] | undefined
}

/**
 * What became of a batch. `unknown` is also a batch of which it is known that it was not stored, as
 * long as the same batch may be stored later.
 */
export type BatchOutcome =
  | { readonly kind: 'stored'; readonly firstSequence: number }
  | { readonly kind: 'unknown'; readonly text: string }
  /** The expected last sequence of a subject is not the last one. */
  | { readonly kind: 'wrong-last' }
  | { readonly kind: 'full'; readonly text: string }

const noRoomCodes: ReadonlySet<number> = new Set([
  apiCodes.accountResourcesExceeded,
  apiCodes.insufficientResources,
  apiCodes.memoryResourcesExceeded,
  apiCodes.storageResourcesExceeded,
])

/**
 * Publishes all messages or none, in order and one behind the other in the stream, and waits until
 * a majority of the servers has them. A server takes 1,000 messages in one batch. The headers of
 * the batch are set here: the client's own batches wait a round trip for their first message.
 *
 * @param id of at most 64 characters; each attempt needs another one
 * @throws SluiceError ClusterMisconfigured or ClusterUnavailable: no later attempt can succeed
 */
export async function publishBatch(
  connection: NatsConnection,
  messages: readonly BatchMessage[],
  { id, timeoutMs }: { readonly id: string; readonly timeoutMs: number },
): Promise<BatchOutcome> {
  const last = messages.length - 1
  try {
    for (let index = 0; index < last; index++) {
      const message = messages[index]
      if (message === undefined) break
      const headers = headersOf(message, id, index + 1)
      // Without a reply the server says nothing: a gap shows when the last one is answered.
      connection.publish(message.subject, message.data, { headers })
    }
    const message = messages[last]
    if (message === undefined) throw new RangeError('a batch has at least one message')
    const headers = last === 0 ? headersOf(message) : headersOf(message, id, last + 1)
    if (last > 0) headers.set('Nats-Batch-Commit', '1')
    const { subject, data } = message
    const answer = await connection.request(subject, data, { headers, timeout: timeoutMs })
    return outcomeOf(answer.json<Answer>(), messages.length)
  } catch (thrown) {
    if (thrown instanceof errors.ClosedConnectionError) throw closedError(thrown)
    if (thrown instanceof errors.InvalidArgumentError) {
      const sizes = messages.map(({ data }) => data.length)
      throw new SluiceError(
        'ClusterMisconfigured',
        `A message of ${Math.max(...sizes)} bytes is larger than NATS takes: set ` +
          '`max_payload: 8MB` in the configuration of each server',
        { cause: thrown },
      )
    }
    const problem = problemOfRequest(thrown)
    if (problem.kind === 'fault') throw problem.error
    return { kind: 'unknown', text: problem.text }
  }
}

export function closedError(cause?: unknown): SluiceError {
  return new SluiceError('ClusterUnavailable', 'The log of the cluster is closed', { cause })
}

function headersOf({ headers: given }: BatchMessage, id?: string, sequence?: number): MsgHdrs {
  const headers = createHeaders()
  for (const [name, value] of given ?? []) headers.set(name, value)
  if (id === undefined) return headers
  headers.set('Nats-Batch-Id', id)
  headers.set('Nats-Batch-Sequence', String(sequence))
  return headers
}

/** The sequence is that of the last message. */
interface Answer {
  readonly seq?: number
  readonly error?: ApiError
}

function outcomeOf({ seq, error }: Answer, count: number): BatchOutcome {
  if (error === undefined && seq !== undefined) {
    return { kind: 'stored', firstSequence: seq - count + 1 }
  }
  if (error === undefined) return { kind: 'unknown', text: 'the answer has no sequence' }
  const { err_code: code, description: text } = error
  if (code === apiCodes.wrongLastSequence) return { kind: 'wrong-last' }
  if (noRoomCodes.has(code)) return { kind: 'full', text }
  if (code === apiCodes.storeFailed) {
    // `maximum bytes exceeded`; other failures of a store are for its server to get over.
    return text.includes('maximum') ? { kind: 'full', text } : { kind: 'unknown', text }
  }
  const problem = problemOfRequest(new JetStreamApiError(error))
  if (problem.kind === 'fault') throw problem.error
  return { kind: 'unknown', text }
}
