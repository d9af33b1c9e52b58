import { defined } from '../../base/defined.ts'
import { SluiceError, invalidRequest } from '../../base/errors.ts'
import { clusterConfigOf } from '../../config/cluster-config.ts'
import type { ClusterConfig } from '../../config/cluster-config.ts'
import { clusterVariables } from '../../config/cluster-variables.ts'
import { readVariables } from '../../config/variable.ts'
import type { SharedCheckpoints } from '../following.ts'
import type { LeaseStore } from './lease.ts'
import { leaseSettingsOf } from './lease-settings.ts'
import type { LeaseSettings } from './lease-settings.ts'
import { createSharedCheckpoints } from './shared-checkpoints.ts'

/** How the servers of NATS are reached, and how the processes share the shards. */
export interface NatsLeasesOptions extends Partial<LeaseSettings> {
  /** URLs such as `nats://user:password@nats-0:4222` or `tls://nats-0:4222`. */
  readonly servers: string | readonly string[]
  /** The leases are in the bucket `SLUICE_<cluster>_CONSUMERS`. Default: `sluice`. */
  readonly cluster?: string
  /** The user JWT and its seed, as `nsc` writes them; mode 600. */
  readonly credentialsFile?: string
  /** The seed of the user NKEY; mode 600. */
  readonly nkeyFile?: string
  /** PEM file with the CAs of the servers. Default: those that Node.js trusts. */
  readonly authorityFile?: string
  /** PEM files with the certificate chain that servers are shown, and with its key. */
  readonly certificateFile?: string
  readonly keyFile?: string
}

type Connecting = Omit<NatsLeasesOptions, keyof LeaseSettings>

/**
 * Leases in a bucket of NATS JetStream, which is made when it is missing. Applications share it.
 * The client of NATS is loaded by the first use.
 *
 * @throws SluiceError InvalidRequestException: an option is not usable
 */
export function openNatsLeases(options: NatsLeasesOptions): SharedCheckpoints {
  const {
    servers,
    cluster,
    credentialsFile,
    nkeyFile,
    authorityFile,
    certificateFile,
    keyFile,
    ...settings
  } = options
  const config = configOf(
    defined({
      servers,
      cluster,
      credentialsFile,
      nkeyFile,
      authorityFile,
      certificateFile,
      keyFile,
    }),
  )
  const store: LeaseStore = {
    async openLeases(scope, clock, signal) {
      const { openNatsLeaseTable } = await import('./nats-lease-table.ts')
      return openNatsLeaseTable({ clock }, { config, scope }, signal)
    },
  }
  return createSharedCheckpoints(store, leaseSettingsOf(defined(settings)))
}

/** The options mean what the variables of an engine mean. */
const variableOf = Object.freeze({
  servers: 'SLUICE_NATS_URL',
  cluster: 'SLUICE_CLUSTER_NAME',
  credentialsFile: 'SLUICE_NATS_CREDENTIALS_FILE',
  nkeyFile: 'SLUICE_NATS_NKEY_FILE',
  authorityFile: 'SLUICE_NATS_CA_FILE',
  certificateFile: 'SLUICE_NATS_CERT_FILE',
  keyFile: 'SLUICE_NATS_KEY_FILE',
}) satisfies Readonly<Record<keyof Connecting, string>>

function configOf(options: Connecting): ClusterConfig {
  const variables = Object.entries(options).map(([name, value]) => [
    variableOf[name as keyof Connecting],
    [value].flat().join(','),
  ])
  try {
    const read = readVariables(clusterVariables, Object.fromEntries(variables))
    const config = clusterConfigOf(read)
    if (config !== undefined) return config
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    throw invalidRequest(inWordsOfOptions(thrown.message))
  }
  throw invalidRequest('servers: it names no server')
}

const inWordsOfOptions = (message: string) =>
  Object.entries(variableOf).reduce(
    (text, [option, variable]) => text.replaceAll(variable, option),
    message,
  )
