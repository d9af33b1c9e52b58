import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { LastValues } from '../cluster/state/last-values.ts'
import type { Config } from '../config/config.ts'
import type { AccessKeys } from '../identity/access-keys/access-keys.ts'
import type { FileFaults } from '../storage/file-faults.ts'
import { openMqttAccess } from '../identity/mqtt-access.ts'
import type { MqttAccess } from '../identity/mqtt-access.ts'
import type { ResourceOwner } from '../identity/policies/resource-arn.ts'
import { openTlsFiles } from '../identity/certificates/tls-files.ts'
import type { RegistryStage } from './registry-stage.ts'
import { retainedBytesMaxOf } from '../ingress/kept/retained-messages.ts'
import type { SharedSources } from './shared-sources.ts'
import { takeFirstLifecycleVersion } from './first-lifecycle-version.ts'
import { createIngress } from '../ingress/ingress.ts'
import type { Ingress, IngressDependencies } from '../ingress/ingress.ts'
import { keptFolderName, openKeptStore } from '../ingress/kept/kept-store.ts'
import type { SharedRetained } from '../ingress/kept/shared-retained.ts'
import type { KeptStore } from '../ingress/kept/kept-store.ts'
import type { WebSocketGuard } from '../ingress/entrances/web-socket.ts'
import { isLoopback } from '../base/loopback.ts'
import { createTrustedProxies } from '../base/trusted-proxies.ts'
import { guardOrigin } from '../base/origin-guard.ts'
import type { DataFolder } from '../storage/data-folder.ts'
import { createQuarantine } from '../storage/quarantine.ts'
import type { OtherNodes } from './cluster/nats-nodes.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'

/** MQTT with its guards: the ingress, access control for its clients, and TLS certificates. */
export interface MqttStage {
  readonly ingress: Ingress
  /** Whether an MQTT policy may depend on the account. */
  namesAccount(): boolean
  /** Brings the policies of the folder into force. */
  reloadPolicies(): Promise<void>
  /** @throws SluiceError PortUnavailable, IdentityFileInvalid */
  listen(): Promise<MqttPorts>
  close(options: { readonly drainMs: number }): Promise<void>
}

export interface MqttPorts {
  readonly mqtt: number
  /** The port of MQTT over TLS, when there is a certificate. */
  readonly mqtts?: number | undefined
}

interface MqttStageDependencies extends Pick<
  IngressDependencies,
  'ingest' | 'announce' | 'metrics'
> {
  readonly config: Config
  /** Takes what outlives the process. */
  readonly folder: DataFolder
  readonly beginsAnew?: boolean | undefined
  readonly logger: Logger
  readonly clock: Clock
  /** Keys that may sign the URL of a WebSocket. The caller closes them. */
  readonly accessKeys: AccessKeys
  readonly owner: ResourceOwner
  /** Notes files that cannot be read. */
  readonly faults: FileFaults
  readonly registry: Pick<RegistryStage, 'clients' | 'scope'>
  /** Undefined: files are used. */
  readonly shared?: SharedSources | undefined
  /** Undefined: retained messages are those of this engine. */
  readonly retainedValues?: LastValues | undefined
  /** Undefined: subscribers get what is published at this engine. */
  readonly reachNodes?: ((metrics: Metrics) => OtherNodes) | undefined
  /** Ends the wait for what nodes share. */
  readonly signal?: AbortSignal | undefined
}

/** @throws SluiceError IdentityFileInvalid, DataFolderDamaged, DataFolderUnusable */
export async function openMqttStage(dependencies: MqttStageDependencies): Promise<MqttStage> {
  const { config, ingest, announce, metrics, logger, clock, accessKeys, faults } = dependencies
  const { mqtt } = config
  const access = await openAccess(dependencies)
  const kept = await openKept(dependencies)
  const retained = await openRetained(dependencies)
  const ingress = await createIngress(
    {
      ingest,
      announce,
      firstLifecycleVersion: await firstLifecycleVersion(dependencies),
      access,
      kept,
      retained,
      ...dependencies.reachNodes?.(metrics),
      webSocketGuard: webSocketGuard(config, accessKeys),
      proxies: createTrustedProxies(config.trustedProxies),
      metrics,
      logger,
      clock,
    },
    {
      ...mqtt,
      unfinishedMax: mqtt.unansweredMax,
      retainedBytesMax: retainedBytesMaxOf(mqtt.retainedMax),
    },
  )
  const stopFollowing = dependencies.shared?.onPolicies(() => void access.reloadPolicies())
  const closers: (() => void | Promise<void>)[] = [
    () => stopFollowing?.(),
    () => kept.close(),
    () => retained?.close(),
    () => access.close(),
  ]

  async function listenTls(): Promise<number | undefined> {
    if (config.tls === undefined) return undefined
    const files = await openTlsFiles({ logger, clock, faults }, config.tls, ingress.useTls)
    closers.push(() => files.close())
    return (await ingress.listenTls(mqtt.tls, files.current())).port
  }

  return {
    ingress,
    namesAccount: () => access.namesAccount(),
    reloadPolicies: () => access.reloadPolicies(),
    async listen() {
      const { port } = await ingress.listen(mqtt)
      const mqtts = await listenTls()
      return { mqtt: port, mqtts }
    },
    async close(options) {
      await ingress.close(options)
      for (const close of closers) await close()
    },
  }
}

/** Waits until this node has the retained messages of its cluster. */
async function openRetained({
  config: { mqtt },
  retainedValues: values,
  clock,
  logger,
  signal,
}: MqttStageDependencies): Promise<SharedRetained | undefined> {
  if (values === undefined) return undefined
  const { openSharedRetained } = await import('../ingress/kept/shared-retained.ts')
  const { retainedMax } = mqtt
  const limits = { retainedMax, retainedBytesMax: retainedBytesMaxOf(retainedMax) }
  return openSharedRetained({ values, clock, logger }, limits, signal)
}

/** In a cluster a client may have been at any node before. */
function firstLifecycleVersion(dependencies: MqttStageDependencies): Promise<number> {
  const { shared, config } = dependencies
  return shared
    ? shared.takeFirstLifecycleVersion()
    : takeFirstLifecycleVersion(dependencies, config.dataDir)
}

async function openKept({
  folder,
  beginsAnew,
  logger,
  clock,
}: MqttStageDependencies): Promise<KeptStore> {
  const { directory } = folder
  const quarantine = createQuarantine(directory, clock, keptFolderName)
  const store = await openKeptStore(
    { clock, logger, quarantine },
    path.join(directory, keptFolderName),
    { wasMade: folder.hasMade(keptFolderName), beginsAnew },
  )
  await folder.noteMade(keptFolderName)
  return store
}

function openAccess({
  config,
  logger,
  clock,
  accessKeys,
  owner,
  faults,
  shared,
  registry: { clients, scope },
}: MqttStageDependencies): Promise<MqttAccess> {
  const { passwordFile, loginKeyFile, policiesDir, anonymous } = config.mqtt
  const hasPasswords = passwordFile !== undefined || shared?.hasPasswords() === true
  const keptLogins =
    loginKeyFile === undefined
      ? undefined
      : { keyFile: loginKeyFile, file: path.join(config.dataDir, 'known-logins') }
  return openMqttAccess(
    { logger, clock, faults, registry: clients, scope },
    {
      passwordFile: hasPasswords ? (passwordFile ?? '') : undefined,
      passwordSource: shared?.passwords,
      keptLogins,
      policiesDir,
      policyRecords: shared?.policies,
      anonymous,
      owner,
      accessKeys,
    },
  )
}

/**
 * A page in a browser must not reach listeners that are open to this machine only: neither as a
 * page of another origin, nor by another name for this machine, when clients need not authenticate.
 */
function webSocketGuard(
  { http, mqtt, auth, insecure, region }: Config,
  accessKeys: AccessKeys,
): WebSocketGuard {
  const isAnyHost = insecure || !mqtt.anonymous.websocket || !isLoopback(http.host)
  return {
    accessKeys,
    region,
    ignoresSignatures: auth.kind === 'off' && mqtt.anonymous.websocket,
    guardOrigin: (origin) => guardOrigin(origin, { host: http.host, insecure: isAnyHost }),
  }
}
