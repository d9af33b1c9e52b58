import type { StreamConfig, StreamInfo } from '@nats-io/jetstream'
import { messageOf } from '../../base/errors.ts'
import type { NatsDependencies } from './connection.ts'
import { apiCodeOf, apiCodes, misconfigured } from './nats-problem.ts'
import type { Nats } from './open-nats.ts'
import { untilAnswered } from './until-answered.ts'

/** The settings of a stream, as far as it matters what they are. */
type StreamSettings = Partial<Omit<StreamConfig, 'num_replicas' | 'metadata' | 'name'>> & {
  readonly name: string
  readonly subjects: string[]
  readonly max_bytes: number
}

/**
 * Whose a stream is: what it holds (`log`), its format, and what tells two clusters of one name
 * apart, such as the account and the region.
 */
interface StreamOwner {
  readonly holds: string
  readonly format: number
  readonly cluster: Readonly<Record<string, string>>
}

const replicasWanted = 3

/**
 * Makes the stream when it is missing, or checks that it is the one of this cluster. A stream whose
 * `max_bytes` are fewer gets more; they are never lowered.
 *
 * @throws SluiceError ClusterMisconfigured: one line that says what to change; an AbortError when
 *   the signal aborts
 */
export async function ensureStream(
  dependencies: NatsDependencies,
  { manager, isSingleServer }: Pick<Nats, 'manager' | 'isSingleServer'>,
  { settings, owner }: { readonly settings: StreamSettings; readonly owner: StreamOwner },
  signal: AbortSignal,
): Promise<StreamInfo> {
  const { name } = settings
  const replicas = isSingleServer ? 1 : replicasWanted
  const find = async () => {
    try {
      return await manager.streams.info(name)
    } catch (thrown) {
      if (apiCodeOf(thrown) === apiCodes.streamNotFound) return undefined
      throw thrown
    }
  }
  const make = async () => {
    try {
      return await manager.streams.add({
        ...settings,
        num_replicas: replicas,
        metadata: metadataOf(owner),
      })
    } catch (thrown) {
      // Another engine was faster, and may have other settings.
      if (apiCodeOf(thrown) === apiCodes.nameInUse) return await manager.streams.info(name)
      throw explained(thrown, settings)
    }
  }
  const findOrMake = async () => (await find()) ?? (await make())
  const waiting =
    `waiting for stream ${name}: it needs ${replicas === 1 ? 'a NATS server' : 'three NATS servers'} ` +
    'with JetStream, and a leader'
  const info = await untilAnswered(dependencies, findOrMake, waiting, signal)
  const fault = faultOfStream(info.config, { settings, owner, replicas })
  if (fault !== undefined) throw misconfigured(fault)
  if (info.config.num_replicas === 1) {
    dependencies.logger.warn(
      { stream: name },
      'the NATS server is alone, so its records have one copy: a cluster has three servers',
    )
  }
  const bytes = info.config.max_bytes
  if (bytes >= settings.max_bytes || bytes <= 0) return info
  const raise = async () => manager.streams.update(name, { max_bytes: settings.max_bytes })
  return untilAnswered(dependencies, raise, `waiting to raise max_bytes of ${name}`, signal)
}

function metadataOf({ holds, format, cluster }: StreamOwner): Record<string, string> {
  const entries = Object.entries(cluster).map(([key, value]) => [`sluice-${key}`, value])
  return { sluice: holds, 'sluice-format': String(format), ...Object.fromEntries(entries) }
}

/** Errors of making a stream that waiting does not change. */
function explained(thrown: unknown, { name, subjects, max_bytes: bytes }: StreamSettings): unknown {
  const text = messageOf(thrown)
  const noRoom = () =>
    misconfigured(
      `NATS has no room for stream ${name} of ${bytes} bytes (${text}): raise \`max_file_store\` ` +
        'of each server or the limit of the account, or lower SLUICE_OUTBOX_MAX_BYTES',
      thrown,
    )
  const code = apiCodeOf(thrown)
  if (code === undefined) return thrown
  switch (code) {
    case apiCodes.noSuitablePeers:
      // A server that is down passes; one that is too small does not.
      return /insufficient storage/.test(text) && !text.includes('offline') ? noRoom() : thrown
    case apiCodes.replicasNotSupported:
      return misconfigured(
        'The NATS server is no part of a cluster of three: add a `cluster {...}` block to the ' +
          'configuration of each server',
        thrown,
      )
    case apiCodes.subjectsOverlap:
      return misconfigured(
        `Another stream takes the subjects ${subjects.join(', ')}: remove them from it, or choose ` +
          'another SLUICE_CLUSTER_NAME',
        thrown,
      )
    case apiCodes.storageResourcesExceeded:
    case apiCodes.insufficientResources:
    case apiCodes.accountResourcesExceeded:
      return noRoom()
    default:
      return thrown
  }
}

/** Settings that must not differ, and what a server answers when they were left out. */
const compared = {
  retention: 'limits',
  storage: 'file',
  discard: 'new',
  allow_atomic: false,
  allow_rollup_hdrs: false,
  allow_direct: false,
  allow_msg_ttl: false,
  deny_purge: false,
  sealed: false,
  no_ack: false,
  max_age: 0,
  max_msgs: -1,
  max_msgs_per_subject: -1,
} as const satisfies Partial<Record<keyof StreamConfig, string | number | boolean>>

/**
 * What is wrong with a stream that is there.
 *
 * @returns one line that says what to change; undefined when nothing is
 */
function faultOfStream(
  have: StreamConfig,
  {
    settings,
    owner,
    replicas,
  }: {
    readonly settings: StreamSettings
    readonly owner: StreamOwner
    readonly replicas: number
  },
): string | undefined {
  const { name } = settings
  const elsewhere = 'choose another SLUICE_CLUSTER_NAME'
  const metadata = have.metadata ?? {}
  if (metadata['sluice'] !== owner.holds) {
    const subjects = have.subjects.join(', ')
    return `Stream ${name} (${subjects}) was not made by Sluice: ${elsewhere}, or delete the stream`
  }
  for (const [key, value] of Object.entries(owner.cluster)) {
    const other = metadata[`sluice-${key}`]
    if (other !== value) {
      return `Stream ${name} belongs to a cluster with ${key} ${other}, not ${value}: ${elsewhere}`
    }
  }
  if (Number(metadata['sluice-format']) > owner.format) {
    return `Stream ${name} was made by a newer release of Sluice: upgrade this one`
  }
  return faultOfSettings(have, settings) ?? faultOfReplicas(have, name, replicas)
}

function faultOfSettings(have: StreamConfig, settings: StreamSettings): string | undefined {
  const { name } = settings
  const wanted = [...settings.subjects].toSorted().join(', ')
  const subjects = [...have.subjects].toSorted().join(', ')
  if (subjects !== wanted) {
    return `Stream ${name} has the subjects ${subjects}: set them to ${wanted} (nats stream edit)`
  }
  for (const member of Object.keys(compared) as (keyof typeof compared)[]) {
    const must = settings[member] ?? compared[member]
    const is = valueOf(have[member], compared[member])
    if (is !== must) {
      return `Stream ${name} has ${member} ${is}: set it to ${must} (nats stream edit)`
    }
  }
  if (have.mirror !== undefined || have.sources !== undefined || have.subject_transform) {
    return `Stream ${name} copies or transforms messages of others: remove that (nats stream edit)`
  }
  return undefined
}

/** Servers answer 0 or -1 where there is no limit, and leave out what is false. */
function valueOf(
  value: string | number | boolean | undefined,
  whenAbsent: string | number | boolean,
): string | number | boolean {
  if (whenAbsent === -1 && typeof value === 'number' && value <= 0) return -1
  return value ?? whenAbsent
}

function faultOfReplicas(have: StreamConfig, name: string, replicas: number): string | undefined {
  if (have.num_replicas >= replicas) return undefined
  return (
    `Stream ${name} has ${have.num_replicas} replicas, so one lost server can lose acknowledged ` +
    `records: nats stream edit ${name} --replicas=${replicas}`
  )
}
