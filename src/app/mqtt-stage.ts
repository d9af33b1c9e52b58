import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { Config } from '../config/config.ts'
import type { AccessKeys } from '../identity/access-keys/access-keys.ts'
import type { FileFaults } from '../storage/file-faults.ts'
import { openMqttAccess } from '../identity/mqtt-access.ts'
import type { MqttAccess } from '../identity/mqtt-access.ts'
import type { ResourceOwner } from '../identity/policies/resource-arn.ts'
import { openTlsFiles } from '../identity/certificates/tls-files.ts'
import type { RegistryStage } from './registry-stage.ts'
import { takeFirstLifecycleVersion } from './first-lifecycle-version.ts'
import { createIngress } from '../ingress/ingress.ts'
import type { Ingress, IngressDependencies } from '../ingress/ingress.ts'
import type { WebSocketGuard } from '../ingress/entrances/web-socket.ts'
import { isLoopback } from '../base/loopback.ts'
import { createTrustedProxies } from '../base/trusted-proxies.ts'
import { guardOrigin } from '../base/origin-guard.ts'
import type { Logger } from '../telemetry/telemetry.ts'

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
  readonly logger: Logger
  readonly clock: Clock
  /** Keys that may sign the URL of a WebSocket. The caller closes them. */
  readonly accessKeys: AccessKeys
  readonly owner: ResourceOwner
  /** Notes files that cannot be read. */
  readonly faults: FileFaults
  readonly registry: Pick<RegistryStage, 'clients' | 'scope'>
}

/** @throws SluiceError IdentityFileInvalid */
export async function openMqttStage(dependencies: MqttStageDependencies): Promise<MqttStage> {
  const { config, ingest, announce, metrics, logger, clock, accessKeys, faults } = dependencies
  const { mqtt } = config
  const access = await openAccess(dependencies)
  const ingress = await createIngress(
    {
      ingest,
      announce,
      firstLifecycleVersion: await takeFirstLifecycleVersion({ clock, logger }, config.dataDir),
      access,
      webSocketGuard: webSocketGuard(config, accessKeys),
      proxies: createTrustedProxies(config.trustedProxies),
      metrics,
      logger,
      clock,
    },
    { ...mqtt, unfinishedMax: mqtt.unansweredMax },
  )
  const closers: (() => void | Promise<void>)[] = [() => access.close()]

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

function openAccess({
  config,
  logger,
  clock,
  accessKeys,
  owner,
  faults,
  registry: { clients, scope },
}: MqttStageDependencies): Promise<MqttAccess> {
  const { passwordFile, loginKeyFile, policiesDir, anonymous } = config.mqtt
  const keptLogins =
    loginKeyFile === undefined
      ? undefined
      : { keyFile: loginKeyFile, file: path.join(config.dataDir, 'known-logins') }
  return openMqttAccess(
    { logger, clock, faults, registry: clients, scope },
    {
      passwordFile,
      keptLogins,
      policiesDir,
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
