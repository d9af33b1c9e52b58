import type { LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import type { LookupFunction, Socket } from 'node:net'
import * as library from '@platformatic/kafka'
import type { API, Connection, SASLCustomAuthenticator } from '@platformatic/kafka'
import type { BrokerAddress } from './client-properties.ts'
import type { ClusterOptions, SaslOptions } from './cluster-options.ts'
import type { Clock } from '../base/clock.ts'
import { version as sluiceVersion } from '../base/version.ts'
import { createFrameCheck } from './frame-check.ts'
import { KafkaProblem } from './kafka-problem.ts'

/** A connection to one broker, authenticated, that knows what the broker speaks. */
export interface BrokerConnection {
  readonly produce: ProduceApi
  readonly metadata: MetadataApi
  /** False once it is closed, or due to be replaced because its authentication ends. */
  isUsable(): boolean
  /**
   * Makes one request. A request that is not answered in time closes the connection, because its
   * answer could still arrive and be taken for another one.
   */
  request<Parameters extends unknown[], Answer>(
    api: API<Parameters, Answer>,
    ...parameters: Parameters
  ): Promise<Answer>
  /** Closes it when the requests in flight are answered. */
  retire(): void
  /** Closes it at once, and fails the requests in flight. */
  close(): void
}

type ProduceApi = typeof library.produceV9.api
type MetadataApi = typeof library.metadataV9.api

interface ConnectionDependencies {
  /** Resolves names of brokers; it may refuse one. */
  readonly lookup: LookupFunction
  readonly clock: Clock
  /** Ends the connection, also while it is made. */
  readonly ending: AbortSignal
  /** Is told that the connection, once it was open, is closed. */
  readonly onClose: () => void
}

const clientId = 'sluice'
const connectTimeoutMs = 5_000
/** A produce request that timed out may still be carried out: a short timeout makes duplicates. */
const requestTimeoutMs = 15_000
/** Requests on the way to one broker; further ones wait. The broker answers them in order. */
const inFlightMax = 5
/** A name has few addresses: all of one name are brokers of the cluster. */
const addressesMax = 4
/** Between the end of a connection's use and its closing. */
const retirementMs = 1_000
/** The share of an authentication's lifetime after which a new connection takes over. */
const lifetimeShare = 0.8

/** The versions of requests that are known here, by what a broker may speak, the newest first. */
const produceApis: readonly ProduceApi[] = [
  library.produceV11.api,
  library.produceV10.api,
  library.produceV9.api,
  library.produceV8.api,
  library.produceV7.api,
]
const metadataApis: readonly MetadataApi[] = [
  library.metadataV12.api,
  library.metadataV11.api,
  library.metadataV10.api,
  library.metadataV9.api,
]

// The library's own log lines would hold requests, and so passwords, where DEBUG asks for them.
for (const logger of Object.values(library.loggers)) logger.enabled = false

/**
 * Connects to a broker, authenticates, and asks what it speaks.
 *
 * @throws Error of the library, of the network or KafkaProblem
 */
export async function openConnection(
  dependencies: ConnectionDependencies,
  broker: BrokerAddress,
  options: ClusterOptions,
): Promise<BrokerConnection> {
  const addresses = await resolve(broker.host, dependencies.lookup)
  let failure: unknown
  for (const address of addresses.slice(0, addressesMax)) {
    if (dependencies.ending.aborted) break
    try {
      return await connectTo(dependencies, { address, broker }, options)
    } catch (thrown) {
      failure = thrown
    }
  }
  throw failure ?? new KafkaProblem('ENOTFOUND', `${broker.host} has no address`)
}

function resolve(host: string, lookup: LookupFunction): Promise<readonly string[]> {
  return new Promise((found, failed) => {
    lookup(host, { all: true }, (error, addresses: string | LookupAddress[]) => {
      if (error) failed(error)
      else found(typeof addresses === 'string' ? [addresses] : addresses.map((one) => one.address))
    })
  })
}

async function connectTo(
  { clock, ending, onClose }: ConnectionDependencies,
  { address, broker }: { readonly address: string; readonly broker: BrokerAddress },
  options: ClusterOptions,
): Promise<BrokerConnection> {
  let endsAtMs = Infinity
  const onLifetime = (lifetimeMs: number) => {
    if (lifetimeMs > 0) endsAtMs = clock.monotonicMs() + lifetimeMs * lifetimeShare
  }
  const connection = newConnection(broker, options, onLifetime)
  // An event of an error that nobody listens to would end the process.
  let problem: Error | undefined
  connection.on('error', (error) => (problem ??= error))
  const connected = connection.connect(address, broker.port) as Promise<void>
  guard(connection.socket, options.tls !== undefined)
  let isClosed = false
  const request: BrokerConnection['request'] = async (api, ...parameters) => {
    try {
      return await api.async(connection, ...parameters)
    } catch (thrown) {
      // An answer with error codes is an answer. After other failures the next bytes mean nothing.
      if (thrown instanceof library.ResponseError) throw thrown
      connection.socket.destroy()
      // A closed connection says less than what closed it, such as a refused certificate.
      throw problem ?? thrown
    }
  }
  const close = () => connection.socket.destroy()
  ending.addEventListener('abort', close)
  // The library does not see that a socket closes before it is connected.
  const closed = new Promise<never>((_resolve, reject) => {
    connection.socket.once('close', () => {
      isClosed = true
      ending.removeEventListener('abort', close)
      reject(problem ?? closedByBroker())
    })
  })
  closed.catch(() => undefined)
  try {
    await Promise.race([connected, closed])
    const { api } = library.apiVersionsV3
    const { apiKeys } = await request(api, clientId, sluiceVersion)
    const produce = newestOf(produceApis, apiKeys)
    const metadata = newestOf(metadataApis, apiKeys)
    if (isClosed) throw closedByBroker()
    connection.socket.once('close', onClose)
    let inFlight = 0
    let isRetired = false
    return {
      produce,
      metadata,
      isUsable: () => !isClosed && !isRetired && clock.monotonicMs() < endsAtMs,
      async request(one, ...parameters) {
        inFlight += 1
        try {
          return await request(one, ...parameters)
        } finally {
          inFlight -= 1
          if (isRetired && inFlight === 0) close()
        }
      },
      retire() {
        isRetired = true
        // Those who have just got it make their requests first.
        clock.after(retirementMs, () => {
          if (inFlight === 0) close()
        })
      },
      close,
    }
  } catch (thrown) {
    close()
    throw thrown
  }
}

const closedByBroker = () => new KafkaProblem('NetworkError', 'the broker closed the connection')

function newConnection(
  { host }: BrokerAddress,
  { tls, sasl }: ClusterOptions,
  onLifetime: (lifetimeMs: number) => void,
): Connection {
  return new library.Connection(clientId, {
    connectTimeout: connectTimeoutMs,
    requestTimeout: requestTimeoutMs,
    maxInflights: inFlightMax,
    ...(tls !== undefined && { tls }),
    // The certificate names the host. An address is no name of a server.
    ...(tls !== undefined && isIP(host) === 0 && { tlsServerName: host }),
    ...(sasl !== undefined && { sasl: saslOf(sasl, onLifetime) }),
  })
}

/** @throws KafkaProblem when the broker speaks none of the versions */
function newestOf<One extends ProduceApi | MetadataApi>(
  apis: readonly One[],
  spoken: readonly {
    readonly apiKey: number
    readonly minVersion: number
    readonly maxVersion: number
  }[],
): One {
  const found = apis.find(({ key, version }) =>
    spoken.some(
      ({ apiKey, minVersion, maxVersion }) =>
        apiKey === key && minVersion <= version && version <= maxVersion,
    ),
  )
  if (found !== undefined) return found
  throw new KafkaProblem('UNSUPPORTED_VERSION', 'the broker is older than Apache Kafka 2.4')
}

/**
 * What a broker sends is read in the handler of a socket, where an exception would end the process:
 * it ends the connection instead. So does an answer that is too long to be one.
 */
function guard(socket: Socket, isTls: boolean): void {
  socket.on('error', () => undefined)
  // The library adds its own handler in the same event, before this one.
  socket.once(isTls ? 'secureConnect' : 'connect', () => {
    const readers = socket.listeners('data') as ((chunk: Buffer) => void)[]
    socket.removeAllListeners('data')
    const checkFrames = createFrameCheck()
    socket.on('data', (chunk: Buffer) => {
      try {
        checkFrames(chunk)
        for (const read of readers) read(chunk)
      } catch (thrown) {
        socket.destroy(thrown instanceof Error ? thrown : new Error(String(thrown)))
      }
    })
  })
}

/** More would be minutes of work for each connection. Brokers have 4,096 to 16,384. */
const scramIterationsMax = 1_000_000

/**
 * Authenticates with the library's mechanisms, and keeps what they throw while they read an answer.
 *
 * @param onLifetime is told the lifetime of the authentication in milliseconds; 0 is without end
 */
function saslOf(
  { mechanism, username, password }: SaslOptions,
  onLifetime: (lifetimeMs: number) => void,
) {
  const authenticate: SASLCustomAuthenticator = (...authentication) => {
    const [, connection, call, , , , callback] = authentication
    const finish: typeof callback = (error, response) => {
      if (response === undefined || error) {
        callback(error)
        return
      }
      onLifetime(Number(response.sessionLifetimeMs))
      // The library would authenticate again while requests are in flight.
      callback(null, { ...response, sessionLifetimeMs: 0n })
    }
    const guarded = ((to: Connection, bytes: Buffer, next: typeof callback) =>
      call(to, bytes, (error, response) => {
        try {
          next(error, response)
        } catch (thrown) {
          finish(thrown instanceof Error ? thrown : new Error(String(thrown)))
        }
      })) as typeof call
    if (mechanism === 'PLAIN') {
      library.saslPlain.authenticate(guarded, connection, username, password, finish)
      return
    }
    const digest = mechanism === 'SCRAM-SHA-256' ? 'SHA-256' : 'SHA-512'
    const scram = library.saslScramSha.authenticate
    scram(guarded, connection, digest, username, password, boundedCrypto, finish)
  }
  return { mechanism, username, password, authenticate }
}

const boundedCrypto: typeof library.saslScramSha.defaultCrypto = {
  ...library.saslScramSha.defaultCrypto,
  hi(definition, password, salt, iterations) {
    if (!(iterations <= scramIterationsMax)) {
      return Promise.reject(new Error(`the broker asks for ${iterations} iterations of SCRAM`))
    }
    return library.saslScramSha.defaultCrypto.hi(definition, password, salt, iterations)
  },
}
