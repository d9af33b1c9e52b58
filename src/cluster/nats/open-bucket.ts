import { DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import type { KV } from '@nats-io/kv'
import type { NatsDependencies } from './connection.ts'
import { ensureStream } from './ensure-stream.ts'
import type { Nats } from './open-nats.ts'
import { payloadBytesMin } from './server-check.ts'

/** What the nodes of a cluster share: small values under keys, each with its last revisions. */
interface BucketSettings {
  /** Such as `RULES`; the cluster's name stands before it. */
  readonly name: string
  /** Revisions that are kept of each key, at most 64. */
  readonly history: number
  readonly bytesMax: number
  /** Whether values may have a time to live. */
  readonly hasTtl?: boolean | undefined
}

const format = 1

/** The name of a bucket at NATS, such as `SLUICE_sluice_STATE`. */
export const bucketNameOf = (cluster: string, { name }: Pick<BucketSettings, 'name'>): string =>
  `SLUICE_${cluster}_${name}`

/**
 * Opens a bucket of the cluster; it is made when it is missing. Values are read from the leader of
 * its stream, so that a read sees what was written before it.
 *
 * @param identity tells two clusters of one name apart, such as the account and the region
 * @throws SluiceError ClusterMisconfigured; an AbortError when the signal aborts
 */
export async function openBucket(
  dependencies: NatsDependencies,
  nats: Pick<Nats, 'manager' | 'client' | 'isSingleServer'>,
  {
    cluster,
    identity,
    bucket,
  }: {
    readonly cluster: string
    readonly identity: Readonly<Record<string, string>>
    readonly bucket: BucketSettings
  },
  signal: AbortSignal,
): Promise<KV> {
  const name = bucketNameOf(cluster, bucket)
  // What the client's own `create` would ask for, so that other tools see a bucket.
  const settings = {
    name: `KV_${name}`,
    description: `${bucket.name} of the Sluice cluster ${cluster}`,
    subjects: [`$KV.${name}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: bucket.history,
    max_bytes: bucket.bytesMax,
    max_msg_size: payloadBytesMin,
    allow_rollup_hdrs: true,
    allow_direct: true,
    deny_delete: true,
    ...(bucket.hasTtl === true && { allow_msg_ttl: true }),
  }
  const owner = { holds: `bucket ${bucket.name}`, format, cluster: identity }
  await ensureStream(dependencies, nats, { settings, owner }, signal)
  return new Kvm(nats.client).open(name, { allow_direct: false })
}
