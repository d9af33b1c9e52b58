import type { JetStreamClient } from '@nats-io/jetstream'
import type { KV } from '@nats-io/kv'
import { headers } from '@nats-io/transport-node'
import type { Clock } from '../../base/clock.ts'
import { stateOf } from './bucket-entries.ts'
import type { ComparedValues } from './compared-values.ts'
import { asked, written } from './nats-state.ts'

interface NatsComparedValuesDependencies {
  readonly client: Pick<JetStreamClient, 'publish'>
  /** Its values are read from the leader. */
  readonly bucket: KV
  readonly clock: Clock
}

/**
 * Compared values in a bucket of NATS whose stream allows a time to live for each message. What a
 * removal leaves is a deletion of the bucket that has a value, so that other tools see a deletion.
 *
 * @param bucketName such as `SLUICE_sluice_SHADOWS`
 */
export function createNatsComparedValues(
  { client, bucket, clock }: NatsComparedValuesDependencies,
  bucketName: string,
): ComparedValues {
  return {
    get: (key) =>
      asked(async () => {
        const found = await bucket.get(key)
        if (found === null) return undefined
        const { value, revision } = found
        return { value: Buffer.from(value.buffer, value.byteOffset, value.byteLength), revision }
      }),
    put(key, value, before, removedForSeconds) {
      const of = headers()
      if (removedForSeconds !== undefined) of.set('KV-Operation', 'DEL')
      const options = {
        headers: of,
        expect: { lastSubjectSequence: before },
        ...(removedForSeconds !== undefined && { ttl: `${removedForSeconds}s` }),
      }
      const subject = `$KV.${bucketName}.${key}`
      return written(
        clock,
        async () => (await client.publish(subject, value, options)).seq,
        undefined,
      )
    },
    keys: (prefix) =>
      asked(async () => {
        const found: string[] = []
        for await (const key of await bucket.keys(prefix && `${prefix}.>`)) found.push(key)
        return found
      }),
    count: () => asked(async () => (await stateOf(bucket)).messages),
  }
}
