import { closedMessage } from '../http/server/api-guard.ts'
import type { HttpServerDependencies } from '../http/http-server.ts'
import { createRoleProbe } from '../http/aws-iot/role-probe.ts'
import type { RoleProbe } from '../http/aws-iot/role-probe.ts'
import { createTrustedProxies } from '../base/trusted-proxies.ts'
import type { Config } from '../config/config.ts'
import type { AccountStage } from './account-stage.ts'
import { openAccessKeys } from '../identity/access-keys/access-keys.ts'
import type { AccessKeys } from '../identity/access-keys/access-keys.ts'
import type { FileFaults } from '../storage/file-faults.ts'
import type { Ingress } from '../ingress/ingress.ts'
import type { AwsCalls } from '../aws/aws-calls.ts'
import type { MqttPorts } from './mqtt-stage.ts'
import type { AppDependencies } from './app-dependencies.ts'
import type { Stages } from './stages.ts'

/** Opens the access keys that sign requests to the HTTP API and URLs of WebSockets. */
export async function openKeys(
  { config, logger, clock, faults, shared }: AppDependencies & { readonly faults: FileFaults },
  stages: Stages,
): Promise<AccessKeys> {
  const { kind, credentialsFile: file } = config.auth
  const keys = await stages.open(
    'access keys',
    () => openAccessKeys({ logger, clock, faults }, { file, source: shared?.accessKeys }),
    (it) => it.close(),
  )
  if (kind === 'sigv4' && keys.count === 0) {
    logger.warn({ file }, `the HTTP API is closed: ${closedMessage}`)
  }
  return keys
}

/** TLS, authentication and access control of the HTTP API. */
export function httpGuards(
  { http, tls, auth, trustedProxies }: Config,
  given: {
    readonly accessKeys: AccessKeys
    readonly account: AccountStage
    readonly faults: FileFaults
  },
): Pick<HttpServerDependencies, 'tls' | 'access' | 'faults' | 'proxies'> {
  const { accessKeys: keys, account, faults } = given
  const { owner } = account
  return {
    faults,
    proxies: createTrustedProxies(trustedProxies),
    ...(http.tls && tls && { tls }),
    access: auth.kind === 'sigv4' ? { keys, owner, metricsToken: auth.metricsToken } : undefined,
  }
}

export function roleProbe({ config, logger }: AppDependencies, aws: AwsCalls): RoleProbe {
  return createRoleProbe({
    assumeRole: (roleArn, externalId) =>
      aws.credentialsOf(config.region, roleArn, externalId).current(),
    logger,
  })
}

interface BrokerPorts extends MqttPorts {
  /** The port of the lab's Kinesis. */
  readonly kinesis?: number | undefined
}

/** What HTTP asks of the ingress, which may be built later. */
export function ofIngress(
  config: Config,
  { ingress, ports }: { readonly ingress: () => Ingress; readonly ports: () => BrokerPorts },
): Pick<HttpServerDependencies, 'broker' | 'onUpgrade' | 'reachableAt'> {
  return {
    reachableAt: () => reachableAt(config, ports()),
    broker: brokerOf(ingress),
    onUpgrade: (...upgrade) => ingress().upgrade(...upgrade),
  }
}

/** Where clients reach the engine, as the API describes it. */
function reachableAt(
  { http, mqtt, lab, region }: Config,
  ports: BrokerPorts,
): ReturnType<HttpServerDependencies['reachableAt']> {
  const { mqtts, kinesis } = ports
  return {
    brokers: [
      { protocol: 'mqtt', host: mqtt.host, port: ports.mqtt },
      ...(mqtts === undefined
        ? []
        : [{ protocol: 'mqtts' as const, host: mqtt.tls.host, port: mqtts }]),
      { protocol: http.tls ? 'wss' : 'ws' },
    ],
    kinesis: kinesis === undefined ? undefined : { host: lab.host, port: kinesis },
    region,
  }
}

function brokerOf(ingress: () => Ingress): HttpServerDependencies['broker'] {
  return {
    publish: (message, from) => ingress().publish(message, from),
    retained: (topic) => ingress().retained(topic),
    listRetained: (page) => ingress().listRetained(page),
    disconnect: (clientId, options) => ingress().disconnect(clientId, options),
    connection: (clientId) => ingress().connection(clientId),
    subscriptions: (clientId) => ingress().subscriptions(clientId),
    listClients: (query) => ingress().listClients(query),
    connectedClient: (clientId) => ingress().connectedClient(clientId),
    sendDirect: (message, confirmMs) => ingress().sendDirect(message, confirmMs),
  }
}
