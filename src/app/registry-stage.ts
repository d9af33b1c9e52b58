import { X509Certificate } from 'node:crypto'
import path from 'node:path'
import { readPemBundle } from '../identity/certificates/pem-bundle.ts'
import { createCertificateIssuer } from '../identity/certificates/certificate-issuer.ts'
import type { RegisteredClients } from '../identity/mqtt-access.ts'
import type { FolderScope } from '../identity/policies/policy-folder.ts'
import { createPolicyFiles } from '../identity/policies/policy-records.ts'
import { createPolicyStore } from '../identity/policies/policy-store.ts'
import type { PolicyStore } from '../identity/policies/policy-store.ts'
import { resourceArn } from '../identity/policies/resource-arn.ts'
import type { Config } from '../config/config.ts'
import { describeThing } from '../registry/thing-record.ts'
import { openRegistry, registryFolderName, scopeFileName } from '../registry/registry.ts'
import type { Registry } from '../registry/registry.ts'
import type { CallExternal } from '../sql/externals/external-request.ts'
import { readJson } from '../sql/values/json-reader.ts'
import { removeDurably, writeDurably } from '../storage/durable-file.ts'
import type { DataFolder } from '../storage/data-folder.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import { ifPresent, nodeFileReads, readIfPresent } from '../storage/file-reads.ts'
import { readPublicFile } from '../storage/secret-file.ts'
import type { AccountStage } from './account-stage.ts'
import type { AppDependencies } from './app-dependencies.ts'
import type { MqttStage } from './mqtt-stage.ts'
import type { SharedSources } from './shared-sources.ts'

/** Things, certificates and policies: the registry of AWS IoT. */
export interface RegistryStage {
  readonly registry: Registry
  readonly policies: PolicyStore
  /** For decisions about clients. */
  readonly clients: RegisteredClients
  readonly scope: FolderScope
  /** Of a resource such as `thing/t`. */
  readonly resourceArnOf: (resource: string) => string
}

interface RegistryStageDependencies extends AppDependencies {
  readonly folder: DataFolder
  readonly account: Pick<AccountStage, 'shownId'>
  /** The stage that is opened later. */
  readonly mqtt: () => Pick<MqttStage, 'reloadPolicies' | 'ingress'>
}

/** @throws SluiceError DataFolderDamaged, DataFolderUnusable (rejects) */
export async function openRegistryStage({
  config,
  logger,
  clock,
  folder,
  shared,
  account,
  mqtt,
}: RegistryStageDependencies): Promise<RegistryStage> {
  const { region } = config
  const resourceArnOf = (resource: string) =>
    resourceArn(resource, { region, accountId: account.shownId() })
  const directory = path.join(folder.directory, registryFolderName)
  if (!shared) await refuseLost(folder, directory)
  try {
    const { records, scope } = await openPolicies(config.mqtt, directory, shared)
    const policies = createPolicyStore(
      {
        clock,
        arnOf: resourceArnOf,
        reload: () => mqtt().reloadPolicies(),
        async onFolderMade() {
          await scope.narrow()
          logger.info(
            { policiesDir: records.place },
            'the folder of MQTT policies is made: certificates of the registry need a policy; ' +
              'all clients will when one is attached to another client',
          )
        },
      },
      records,
    )
    const registry = await openRegistry(
      {
        clock,
        logger,
        openRecords: shared?.openRecords,
        arnOf: resourceArnOf,
        issuer: createCertificateIssuer({ clock }, config.issuingAuthority),
        isTrusted: (certificate) => isTrusted(certificate, config),
        policiesOf: (id) => policies.policiesOf(`cert:${id}`),
        async detachPolicies(id) {
          for (const name of await policies.policiesOf(`cert:${id}`)) {
            await policies.detach(name, `cert:${id}`)
          }
        },
        onDeactivated: (id) => mqtt().ingress.endConnectionsOf(id),
      },
      directory,
    )
    if (!shared) await folder.noteMade(registryFolderName)
    const { things, certificates } = registry
    const clients = { ...things, statusOf: certificates.statusOf }
    return { registry, policies, clients, scope, resourceArnOf }
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    const message = `The data folder ${folder.directory} is not usable: ${messageOf(thrown)}`
    throw new SluiceError('DataFolderUnusable', message, { cause: thrown })
  }
}

/** The policies of the folder or of the cluster, and whom they are for. */
async function openPolicies(
  { policiesDir }: Pick<Config['mqtt'], 'policiesDir'>,
  directory: string,
  shared: SharedSources | undefined,
) {
  if (shared) return { records: shared.policies, scope: shared.policyScope }
  const scope = await openScope(path.join(directory, scopeFileName), policiesDir)
  return { records: createPolicyFiles(policiesDir), scope }
}

/** A registry that is lost would let certificates in that were deactivated. */
async function refuseLost(folder: DataFolder, directory: string): Promise<void> {
  if (!folder.hasMade(registryFolderName)) return
  if ((await ifPresent(nodeFileReads.stat(directory))) !== undefined) return
  throw new SluiceError(
    'DataFolderDamaged',
    `${directory} is not there any more: it holds the things and certificates of the registry. ` +
      'Put it back from a backup, or make an empty folder to begin anew',
  )
}

/**
 * Notes in the data folder that an operation made the folder of policies, which is empty or absent
 * otherwise.
 */
async function openScope(
  file: string,
  policiesDir: string,
): Promise<FolderScope & { narrow(): Promise<void> }> {
  const noted = (await readIfPresent(file))?.toString()
  const isThere = (await ifPresent(nodeFileReads.stat(policiesDir))) !== undefined
  let isForRegistered = noted === policiesDir && isThere
  if (noted !== undefined && !isForRegistered) await removeDurably(file)
  return {
    isForRegistered: () => isForRegistered,
    widen() {
      isForRegistered = false
      // A file that stays is read at the next start, and the policies widen it again.
      void removeDurably(file).catch(() => undefined)
    },
    async narrow() {
      await writeDurably(file, policiesDir, { mode: 0o600 })
      isForRegistered = true
    },
  }
}

/** Whether a CA of clients issued a certificate, or is that certificate. */
async function isTrusted(certificate: X509Certificate, { tls }: Config): Promise<boolean> {
  const file = tls?.authorityFile
  const authorities = file === undefined ? undefined : await readPublicFile(file)
  return readPemBundle(authorities?.text ?? '').certificates.some(({ pem }) => {
    const authority = new X509Certificate(pem)
    return certificate.checkIssued(authority) && certificate.verify(authority.publicKey)
  })
}

/**
 * `get_registry_data` reads the things here, which are in no group, and asks elsewhere for one that
 * is not here.
 */
export function withRegistry(
  { registry, resourceArnOf }: RegistryStage,
  others: CallExternal,
): CallExternal {
  return async (request, signal) => {
    const isRegistry = request.function === 'get_registry_data'
    const thing = isRegistry ? registry.things.find(request.thingName) : undefined
    if (!isRegistry || !thing) return others(request, signal)
    if (request.operation === 'ListThingGroupsForThing') return new Map([['thingGroups', []]])
    return readJson(JSON.stringify(describeThing(thing, resourceArnOf)))
  }
}
