import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { ClusterState } from '../cluster/state/cluster-state.ts'
import { openClusterState } from '../cluster/state/cluster-state.ts'
import type { SharedState } from '../cluster/state/shared-state.ts'
import { openClusterMappings } from '../event-source/cluster/open-cluster-mappings.ts'
import type { OpenMappings } from '../event-source/event-source-mappings.ts'
import {
  createSharedAccessKeys,
  createSharedPasswords,
  secretKinds,
} from '../identity/shared-secrets.ts'
import type { FolderScope } from '../identity/policies/policy-folder.ts'
import type { PolicyRecords } from '../identity/policies/policy-records.ts'
import {
  createSharedPolicies,
  createSharedScope,
  policyKinds,
} from '../identity/policies/shared-policies.ts'
import type { OpenRecords } from '../registry/records.ts'
import { createOpenSharedRecords } from '../registry/shared-records.ts'
import type { DestinationRecords } from '../rules/destinations/destination-book.ts'
import {
  createSharedDestinations,
  destinationKind,
} from '../rules/destinations/shared-destinations.ts'
import { createSharedRules, ruleKind } from '../rules/shared-rules.ts'
import type { RuleSource } from '../rules/rule-source.ts'
import type { SecretSource } from '../storage/reloaded-file.ts'
import { takeSharedLifecycleVersion } from './first-lifecycle-version.ts'
import type { AppDependencies } from './app-dependencies.ts'

/**
 * What the nodes of a cluster share, in place of folders and files. The module is loaded only by
 * engines that are part of a cluster.
 */
export interface SharedSources {
  readonly rules: RuleSource
  readonly policies: PolicyRecords
  readonly policyScope: FolderScope & { readonly narrow: () => Promise<void> }
  /** @returns stops it */
  readonly onPolicies: (listener: () => void) => () => void
  readonly passwords: SecretSource
  /** Whether there are passwords now. */
  hasPasswords(): boolean
  readonly accessKeys: SecretSource
  readonly openRecords: OpenRecords
  /** @returns a version number of lifecycle events that is higher than all before, at any node */
  readonly takeFirstLifecycleVersion: () => Promise<number>
  readonly openMappings: OpenMappings
  /** Topic rule destinations. */
  readonly destinations: DestinationRecords
  /** Whether the store cannot be reached, so that changes are refused. */
  readonly isLost: () => boolean
  close(): void
}

/** @throws an AbortError: the signal ended the wait for the store (rejects) */
export async function openSharedSources(
  { config, logger, clock, signal }: AppDependencies,
  {
    state,
    leases = state,
    clusterName,
  }: {
    readonly state: SharedState
    /** Of event source mappings: it changes more often. */
    readonly leases?: SharedState | undefined
    readonly clusterName: string
  },
): Promise<SharedSources> {
  const place = `cluster ${clusterName}`
  const opened = await openClusterState({ state, clock, logger }, { place, signal })
  const ofLeases = { place: `the mappings of ${place}`, signal }
  const openedLeases = await openClusterState({ state: leases, clock, logger }, ofLeases)
  // A lab has mappings of its own.
  const ofEngines = config.mode === 'lab' ? '' : ', event source mappings'
  logger.info(
    { cluster: clusterName, rulesDir: config.rulesDir, policiesDir: config.mqtt.policiesDir },
    `rules, policies, passwords, access keys, things${ofEngines} and certificates are those of ` +
      `${place}: ` +
      'the folders and files for them are not read (sluice cluster import moves them there)',
  )
  return sourcesOf(opened, openedLeases, { logger, clock, signal })
}

function sourcesOf(
  state: ClusterState,
  leases: ClusterState,
  { logger, clock, signal }: Pick<AppDependencies, 'logger' | 'clock' | 'signal'>,
): SharedSources {
  const { place } = state
  const policies = state.view(policyKinds.policy)
  const scope = state.view(policyKinds.scope)
  const passwords = state.view(secretKinds.password)
  return {
    rules: createSharedRules(state.view(ruleKind), place),
    policies: createSharedPolicies({ policies, scope, place }),
    policyScope: createSharedScope(scope),
    onPolicies(listener) {
      const stops = [policies, scope].map((view) => view.onChange(listener))
      return () => stops.forEach((stop) => stop())
    },
    passwords: createSharedPasswords(passwords, place),
    hasPasswords: () => passwords.names().length > 0,
    accessKeys: createSharedAccessKeys(state.view(secretKinds.accessKey), place),
    takeFirstLifecycleVersion: () =>
      takeSharedLifecycleVersion(state.view('lifecycle'), clock, signal),
    openRecords: createOpenSharedRecords({ logger, state }),
    openMappings: async (parts) => {
      const node = `${hostname()}:${randomUUID()}`
      return openClusterMappings(parts, { state, leases, node })
    },
    destinations: createSharedDestinations({ view: state.view(destinationKind), logger }),
    isLost: () => [state, leases].some((each) => each.lostReason() !== undefined),
    close() {
      leases.close()
      state.close()
    },
  }
}
