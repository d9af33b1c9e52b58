import type { Clock } from '../base/clock.ts'
import type { Config } from '../config/config.ts'
import type { AccessKeys } from '../identity/access-keys/access-keys.ts'
import type { FileFaults } from '../storage/file-faults.ts'
import { openMqttAccess } from '../identity/mqtt-access.ts'
import type { MqttAccess } from '../identity/mqtt-access.ts'
import type { ResourceOwner } from '../identity/policies/resource-arn.ts'
import { openTlsFiles } from '../identity/certificates/tls-files.ts'
import { createIngress } from '../ingress/ingress.ts'
import type { Ingress, IngressDependencies } from '../ingress/ingress.ts'
import type { WebSocketGuard } from '../ingress/entrances/web-socket.ts'
import { isLoopback } from '../base/loopback.ts'
import { createTrustedProxies } from '../base/trusted-proxies.ts'
import { guardOrigin } from '../base/origin-guard.ts'
import type { Logger } from '../telemetry/telemetry.ts'

/** MQTT with all that guards it: the ingress, who may connect to it, and what TLS shows there. */
export interface MqttStage {
  readonly ingress: Ingress
  /** Whether what an MQTT policy says may depend on which account this is. */
  namesAccount(): boolean
  /** @throws SluiceError PortUnavailable, IdentityFileInvalid */
  listen(): Promise<MqttPorts>
  close(options: { readonly drainMs: number }): Promise<void>
}

export interface MqttPorts {
  readonly mqtt: number
  /** Over TLS, where there is a certificate. */
  readonly mqtts?: number | undefined
}

interface MqttStageDependencies extends Pick<IngressDependencies, 'ingest' | 'metrics'> {
  readonly config: Config
  readonly logger: Logger
  readonly clock: Clock
  /** Those that may sign the URL of a WebSocket. The caller closes them. */
  readonly accessKeys: AccessKeys
  readonly owner: ResourceOwner
  /** Told of files that cannot be read. */
  readonly faults: FileFaults
}

/** @throws SluiceError IdentityFileInvalid */
export async function openMqttStage(dependencies: MqttStageDependencies): Promise<MqttStage> {
  const { config, ingest, metrics, logger, clock, accessKeys, faults } = dependencies
  const { mqtt } = config
  const access = await openAccess(dependencies)
  const ingress = await createIngress(
    {
      ingest,
      access,
      webSocketGuard: webSocketGuard(config, accessKeys),
      proxies: createTrustedProxies(config.trustedProxies),
      metrics,
      logger,
      clock,
    },
    { ...mqtt, unfinishedMax: mqtt.unansweredMax },
  )
  const closers = [() => access.close()]

  async function listenTls(): Promise<number | undefined> {
    if (config.tls === undefined) return undefined
    const files = await openTlsFiles({ logger, clock, faults }, config.tls, ingress.useTls)
    closers.push(() => files.close())
    return (await ingress.listenTls(mqtt.tls, files.current())).port
  }

  return {
    ingress,
    namesAccount: () => access.namesAccount(),
    async listen() {
      const { port } = await ingress.listen(mqtt)
      const mqtts = await listenTls()
      return { mqtt: port, mqtts }
    },
    async close(options) {
      await ingress.close(options)
      for (const close of closers) close()
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
}: MqttStageDependencies): Promise<MqttAccess> {
  const { passwordFile, policiesDir, anonymous } = config.mqtt
  return openMqttAccess(
    { logger, clock, faults },
    { passwordFile, policiesDir, anonymous, owner, accessKeys },
  )
}

/**
 * A page in a browser must not come by what is open to this machine alone: neither as a page of
 * another origin, nor under another name for this machine, where nobody would be asked who he is.
 */
function webSocketGuard(
  { http, mqtt, insecure, region }: Config,
  accessKeys: AccessKeys,
): WebSocketGuard {
  const isAnyHost = insecure || !mqtt.anonymous.websocket || !isLoopback(http.host)
  return {
    accessKeys,
    region,
    guardOrigin: (origin) => guardOrigin(origin, { host: http.host, insecure: isAnyHost }),
  }
}
