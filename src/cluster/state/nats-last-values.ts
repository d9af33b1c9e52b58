import { headers } from '@nats-io/transport-node'
import type { JetStreamClient } from '@nats-io/jetstream'
import { JetStreamApiError } from '@nats-io/jetstream'
import { reasonOf } from './bucket-entries.ts'
import { followBucket } from './follow-bucket.ts'
import type { BucketDependencies } from './follow-bucket.ts'
import { removalKeptSeconds } from './last-values.ts'
import type { LastValues } from './last-values.ts'
import { lostOrUnavailable } from './nats-state.ts'
import { stateUnavailable } from './shared-state.ts'

interface NatsLastValuesDependencies extends BucketDependencies {
  readonly client: Pick<JetStreamClient, 'publish'>
}

/**
 * Last values in a bucket of NATS whose stream allows a time to live for each message. They are
 * written by the client of JetStream: that of buckets tells no revision of a removal, and gives no
 * time to live to a value that replaces another one.
 *
 * @param bucketName such as `SLUICE_sluice_RETAINED`
 */
export function createNatsLastValues(
  { client, connection, bucket, clock }: NatsLastValuesDependencies,
  bucketName: string,
): LastValues {
  const subjectOf = (key: string) => `$KV.${bucketName}.${key}`
  async function publish(...message: Parameters<JetStreamClient['publish']>): Promise<number> {
    try {
      return (await client.publish(...message)).seq
    } catch (thrown) {
      if (thrown instanceof JetStreamApiError) throw stateUnavailable(reasonOf(thrown), thrown)
      throw lostOrUnavailable(thrown)
    }
  }

  return {
    set: (key, value, ttlSeconds) =>
      publish(subjectOf(key), value, ttlSeconds === undefined ? {} : { ttl: `${ttlSeconds}s` }),
    unset(key) {
      const ofRemoval = headers()
      ofRemoval.set('KV-Operation', 'DEL')
      const ttl = `${removalKeptSeconds}s`
      return publish(subjectOf(key), new Uint8Array(), { headers: ofRemoval, ttl })
    },
    watch: (watcher) => followBucket({ connection, bucket, clock }, watcher),
  }
}
