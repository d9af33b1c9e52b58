import { NodeHttpHandler } from '@smithy/node-http-handler'
import { createBoundedMap } from '../base/bounded-map.ts'
import type { Clock } from '../base/clock.ts'
import type { Destination, DestinationCredentials } from '../outbox/outbox.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { createSts } from './sts.ts'
import type { StaticCredentials, Sts } from './sts.ts'
import { createRoleCredentials } from './credentials.ts'
import type { RoleCredentials } from './credentials.ts'
import type { KinesisCalls } from './kinesis-calls.ts'
import { createKinesisCalls } from './kinesis-calls.ts'

/** Where Kinesis and STS are. All absent: the SDK's own rules, its environment variables too. */
export interface AwsCallsOptions {
  /** Of all destinations, whatever endpoint they name: so that nothing leads out of the lab. */
  readonly kinesisEndpoint?: string
  readonly stsEndpoint?: string
  /** Who assumes the roles, and who the process is. Absent: the SDK's chain. */
  readonly baseCredentials?: StaticCredentials
  /** Connections to one host; at least as many as there are calls in flight. */
  readonly socketsMax?: number
  /** Until the answer begins, and between any two parts of it. */
  readonly requestTimeoutMs?: number
}

/** The calls of all destinations: one client for each region, endpoint and identity. */
export interface AwsCalls {
  callsFor(destination: Destination): KinesisCalls
  /** The credentials of a role, shared by all that act with it. */
  credentialsOf(region: string, roleArn: string, externalId?: string): RoleCredentials
  /** What all connections go through. */
  readonly requestHandler: NodeHttpHandler
  /** The account that this process belongs to, as STS says. Rejects with what the SDK throws. */
  accountId(region: string): Promise<string>
  /** Ends all connections. */
  close(): void
}

const socketsMaxDefault = 256
const connectionTimeoutMs = 3_000
/** A call that is given up may have been carried out: too short a time makes duplicates. */
const requestTimeoutMsDefault = 15_000
/** Clients, and sets of credentials, that are kept; beyond it the oldest is made anew when used. */
const rememberedMax = 1_000

/**
 * Clients for AWS, or for whatever the endpoints name.
 *
 * One HTTP/1.1 handler with connections kept alive serves all: the Kinesis client's own HTTP/2
 * handler opens a connection a call, and does not speak to plain HTTP.
 */
export function createAwsCalls(
  dependencies: { readonly clock: Clock; readonly logger: Logger },
  options: AwsCallsOptions = {},
): AwsCalls {
  const { kinesisEndpoint, stsEndpoint, baseCredentials } = options
  const requestHandler = createRequestHandler(options)
  const stsByRegion = createBoundedMap<string, Sts>(rememberedMax)
  const credentialsByRole = createBoundedMap<string, RoleCredentials>(rememberedMax)
  const callsByText = createBoundedMap<string, KinesisCalls>(rememberedMax)
  const base = baseCredentials === undefined ? {} : { baseCredentials }

  function stsIn(region: string): Sts {
    return stsByRegion.getOrMake(region, () =>
      createSts({
        region,
        requestHandler,
        ...(stsEndpoint === undefined ? {} : { endpoint: stsEndpoint }),
        ...base,
      }),
    )
  }

  function credentialsOf(
    region: string,
    identity: Omit<Extract<DestinationCredentials, { kind: 'role' }>, 'kind'>,
  ): RoleCredentials {
    const { roleArn, externalId } = identity
    const text = JSON.stringify([region, roleArn, externalId])
    return credentialsByRole.getOrMake(text, () => {
      const { assumeRole } = stsIn(region)
      return createRoleCredentials({ ...dependencies, assumeRole }, { roleArn, externalId })
    })
  }

  return {
    callsFor({ region, endpoint: ownEndpoint, credentials }: Destination) {
      const endpoint = kinesisEndpoint ?? ownEndpoint
      return callsByText.getOrMake(JSON.stringify([region, endpoint, credentials]), () =>
        createKinesisCalls({
          region,
          requestHandler,
          ...(endpoint === undefined ? {} : { endpoint }),
          ...(credentials.kind === 'role'
            ? { credentials: credentialsOf(region, credentials) }
            : base),
        }),
      )
    },
    credentialsOf: (region: string, roleArn: string, externalId?: string) =>
      credentialsOf(region, { roleArn, ...(externalId === undefined ? {} : { externalId }) }),
    requestHandler,
    accountId: (region: string) => stsIn(region).accountId(),
    close: () => requestHandler.destroy(),
  }
}

function createRequestHandler(options: AwsCallsOptions): NodeHttpHandler {
  const agent = { keepAlive: true, maxSockets: options.socketsMax ?? socketsMaxDefault }
  const timeoutMs = options.requestTimeoutMs ?? requestTimeoutMsDefault
  return new NodeHttpHandler({
    httpAgent: agent,
    httpsAgent: agent,
    connectionTimeout: connectionTimeoutMs,
    // The first ends when the answer begins; an answer that stops half way is left to the second.
    requestTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    throwOnRequestTimeout: true,
  })
}
