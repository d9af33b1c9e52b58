import { randomUUID } from 'node:crypto'
import { DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import { ensureStream } from '../nats/ensure-stream.ts'
import type { Nats } from '../nats/open-nats.ts'
import { createJetstreamLog } from './jetstream-log.ts'
import { createLogNames } from './log-names.ts'
import type { LogDependencies } from './log-requests.ts'
import { deadLetterReserveBytes, reserveBytes } from './log-room.ts'
import type { ReplicatedLog } from './replicated-log.ts'

/** Of what stands in the stream; a newer one is refused. */
const format = 1

/**
 * Opens the log of a cluster; its stream is made when it is missing.
 *
 * @param options.cluster letters, digits, `-` and `_`
 * @param options.identity tells two clusters of one name apart, such as the account and the region
 * @param options.bytesMax of all chunks
 * @param options.deadLetterBytes bytes in the stream that are those of dead letters
 * @throws SluiceError ClusterMisconfigured: one line that says what to change; an AbortError when
 *   the signal aborts
 */
export async function openLog(
  dependencies: LogDependencies,
  nats: Nats,
  {
    cluster,
    identity,
    bytesMax,
    deadLetterBytes,
  }: {
    readonly cluster: string
    readonly identity: Readonly<Record<string, string>>
    readonly bytesMax: number
    readonly deadLetterBytes?: (() => number) | undefined
  },
  signal: AbortSignal,
): Promise<ReplicatedLog> {
  const names = createLogNames(cluster)
  const settings = {
    name: names.stream,
    description: `Accepted records of the Sluice cluster ${cluster}`,
    subjects: names.subjects,
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_bytes: bytesMax + deadLetterReserveBytes + reserveBytes,
    allow_atomic: true,
    allow_rollup_hdrs: true,
    allow_direct: true,
    allow_msg_ttl: true,
  }
  const owner = { holds: 'log', format, cluster: identity }
  await ensureStream(dependencies, nats, { settings, owner }, signal)
  return createJetstreamLog(dependencies, nats, {
    names,
    node: randomUUID(),
    bytesMax,
    deadLetterBytes,
  })
}
