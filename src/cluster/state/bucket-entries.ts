import { JetStreamApiError } from '@nats-io/jetstream'
import type { KV, KvEntry } from '@nats-io/kv'
import { errors } from '@nats-io/transport-node'
import { messageOf } from '../../base/errors.ts'
import type { StateEntry } from './shared-state.ts'

/** What the client of NATS gives, in the words of the shared state. */
export const entryOf = ({ key, value, revision, created }: KvEntry): StateEntry => ({
  key,
  value: Buffer.from(value.buffer, value.byteOffset, value.byteLength),
  revision,
  writtenMs: created.getTime(),
})

/** The state of the stream of a bucket, from its leader. It throws what the client does. */
export const stateOf = async (bucket: Pick<KV, 'status'>) =>
  (await bucket.status()).streamInfo.state

/** Whether a request reached nobody: it was not carried out. */
export const hasNobodyListened = (thrown: unknown): boolean =>
  [thrown, thrown instanceof Error ? thrown.cause : undefined].some(
    (one) =>
      (one instanceof errors.RequestError && one.isNoResponders()) ||
      one instanceof errors.NoRespondersError,
  )

/** In words for people: the texts of the client are one word, such as `timeout`. */
export function reasonOf(thrown: unknown): string {
  if (thrown instanceof JetStreamApiError) return `JetStream answers ${thrown.message}`
  if (hasNobodyListened(thrown)) return 'its stream has no leader'
  return `NATS does not answer (${messageOf(thrown)})`
}
