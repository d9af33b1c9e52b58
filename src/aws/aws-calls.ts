import type { LookupFunction } from 'node:net'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { createBoundedMap } from '../base/bounded-map.ts'
import type { Clock } from '../base/clock.ts'
import { defined } from '../base/defined.ts'
import type { ServiceDestination, StreamDestination } from '../outbox/outbox.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { createAddressGuard } from './call/address-guard.ts'
import { createSts } from './call/sts.ts'
import type { StaticCredentials, Sts } from './call/sts.ts'
import { createRoleCredentials } from './call/credentials.ts'
import type { AssumedRole, RoleCredentials } from './call/credentials.ts'
import type { HttpAccess, InfluxdbConfiguration } from './http/http-access.ts'
import type { KinesisCalls } from './kinesis-calls.ts'
import { createKinesisCalls } from './kinesis-calls.ts'
import { createServiceSender, isServerOfRecords } from './service-senders.ts'
import type { ServiceSender } from './call/service-sender.ts'

/** Where Kinesis and STS are. Without endpoints the SDK's rules and environment variables apply. */
export interface AwsCallsOptions {
  /** Overrides the endpoints that destinations name, so that the lab never leaves the machine. */
  readonly kinesisEndpoint?: string | undefined
  readonly stsEndpoint?: string | undefined
  /** The credentials of the process, which assume the roles. Without them: the SDK's chain. */
  readonly baseCredentials?: StaticCredentials | undefined
  /** Connections to one host: at least as many as there may be calls in flight. */
  readonly socketsMax?: number | undefined
  /** Names and private addresses that are called for rules that name the URL of a server. */
  readonly ruleHosts?: readonly string[] | undefined
  /** The longest wait for the start of an answer, and between two parts of it. */
  readonly requestTimeoutMs?: number | undefined
  /** How the HTTP action reaches endpoints. */
  readonly http?: HttpAccess | undefined
}

/** The clients of all destinations: one for each region, endpoint and identity. */
export interface AwsCalls {
  /** The calls to Kinesis with the region, endpoint and credentials of a destination. */
  callsFor(destination: StreamDestination): KinesisCalls
  /** The sender of a service's destination, with its region and credentials. */
  senderFor(destination: ServiceDestination): ServiceSender
  /** The credentials of a role, shared by every client that acts with the role. */
  credentialsOf(region: string, roleArn: string, externalId?: string): RoleCredentials
  /** The age of the current credentials of each role that has some. */
  credentialsAges(): Generator<{ readonly roleArn: string; readonly ageMs: number }>
  /** The HTTP handler that holds all connections. */
  readonly requestHandler: NodeHttpHandler
  /**
   * Asks an InfluxDB whether it takes the token of a topic rule destination, which this process
   * reads from the secret with its own credentials.
   *
   * @returns why the destination cannot be used; undefined when it can. Never rejects
   */
  probeInfluxdb(
    region: string,
    configuration: InfluxdbConfiguration,
    signal: AbortSignal,
  ): Promise<string | undefined>
  /** The account of this process, from STS. Rejects with the SDK's error. */
  accountId(region: string): Promise<string>
  /** Closes all connections. */
  close(): void
}

interface KnownCredentials {
  readonly roleArn: string
  readonly credentials: ReturnType<typeof createRoleCredentials>
}

function* agesOf(known: Iterable<KnownCredentials>): ReturnType<AwsCalls['credentialsAges']> {
  for (const { roleArn, credentials } of known) {
    const ageMs = credentials.ageMs()
    if (ageMs !== undefined) yield { roleArn, ageMs }
  }
}

const socketsMaxDefault = 256
const connectionTimeoutMs = 3_000
/** A call that timed out may still have been carried out: a short timeout makes duplicates. */
const requestTimeoutMsDefault = 15_000
/** Clients, and sets of credentials. The least recently used one makes room and is made again. */
const clientsMax = 1_000

/**
 * Makes the clients for AWS, or for the services that the endpoints name.
 *
 * All clients share one HTTP/1.1 handler, which keeps its connections alive. The Kinesis client's
 * default HTTP/2 handler opens one connection per call and cannot use plain HTTP.
 */
export function createAwsCalls(
  dependencies: { readonly clock: Clock; readonly logger: Logger },
  options: AwsCallsOptions = {},
): AwsCalls {
  const { kinesisEndpoint, stsEndpoint, baseCredentials } = options
  const requestHandler = createRequestHandler(options)
  const guard = createAddressGuard(options.ruleHosts ?? [])
  const guardedHandler = createRequestHandler(options, guard.lookup)
  const stsByRegion = createBoundedMap<string, Sts>(clientsMax)
  const credentialsByRole = createBoundedMap<string, KnownCredentials>(clientsMax)
  const callsByIdentity = createBoundedMap<string, KinesisCalls>(clientsMax)

  function stsIn(region: string): Sts {
    return stsByRegion.getOrMake(region, () =>
      createSts({ region, requestHandler, endpoint: stsEndpoint, baseCredentials }),
    )
  }

  function credentialsOf(region: string, { roleArn, externalId }: AssumedRole): RoleCredentials {
    const key = JSON.stringify([region, roleArn, externalId])
    const known = credentialsByRole.getOrMake(key, () => {
      const { assumeRole } = stsIn(region)
      const made = createRoleCredentials({ ...dependencies, assumeRole }, { roleArn, externalId })
      return { roleArn, credentials: made }
    })
    return known.credentials
  }

  return {
    callsFor({ region, endpoint: ownEndpoint, credentials }: StreamDestination) {
      const endpoint = kinesisEndpoint ?? ownEndpoint
      return callsByIdentity.getOrMake(JSON.stringify([region, endpoint, credentials]), () =>
        createKinesisCalls({
          region,
          requestHandler,
          endpoint,
          baseCredentials,
          credentials: credentials.kind === 'role' ? credentialsOf(region, credentials) : undefined,
        }),
      )
    },
    senderFor: ({ kind, region, target, endpoint, credentials }: ServiceDestination) =>
      createServiceSender(kind, {
        region,
        target,
        http: options.http,
        // An endpoint beside the rule is the operator's own.
        ...(isServerOfRecords(kind) && endpoint === undefined
          ? { requestHandler: guardedHandler, serviceHandler: requestHandler, guard }
          : { requestHandler }),
        endpoint,
        baseCredentials,
        credentials: credentials.kind === 'role' ? credentialsOf(region, credentials) : undefined,
      }),
    credentialsOf: (region: string, roleArn: string, externalId?: string) =>
      credentialsOf(region, { roleArn, externalId }),
    credentialsAges: () => agesOf(credentialsByRole.values()),
    requestHandler,
    async probeInfluxdb(region: string, configuration: InfluxdbConfiguration, signal: AbortSignal) {
      const { probeInfluxdb } = await import('./senders/influxdb-server.ts')
      const handlers = { requestHandler: guardedHandler, serviceHandler: requestHandler, guard }
      const access = { region, baseCredentials, clock: dependencies.clock, ...handlers }
      return probeInfluxdb(access, configuration, signal)
    },
    accountId: (region: string) => stsIn(region).accountId(),
    close() {
      requestHandler.destroy()
      guardedHandler.destroy()
    },
  }
}

/** @param lookup resolves the names of hosts; Node's own by default */
export function createRequestHandler(
  options: Pick<AwsCallsOptions, 'socketsMax' | 'requestTimeoutMs'>,
  lookup?: LookupFunction,
): NodeHttpHandler {
  const maxSockets = options.socketsMax ?? socketsMaxDefault
  const agent = { keepAlive: true, maxSockets, ...defined({ lookup }) }
  const timeoutMs = options.requestTimeoutMs ?? requestTimeoutMsDefault
  return new NodeHttpHandler({
    httpAgent: agent,
    httpsAgent: agent,
    connectionTimeout: connectionTimeoutMs,
    // The first timeout ends when an answer begins; the second ends an answer that stops half way.
    requestTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    throwOnRequestTimeout: true,
  })
}
