import { readFileSync } from 'node:fs'
import {
  connect,
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node'
import type { Authenticator, NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node'
import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import { unlessAborted } from '../../base/unless-aborted.ts'
import type { ClusterConfig, NatsLogin, NatsTls } from '../../config/cluster-config.ts'
import { readPublicFile, readSecretFile } from '../../storage/secret-file.ts'
import type { LimitedLog, NoticeLog } from '../../telemetry/limited-log.ts'
import { problemOfConnecting } from './nats-problem.ts'
import { faultOfServer } from './server-check.ts'

export interface NatsDependencies {
  readonly clock: Clock
  readonly logger: NoticeLog
  /** Lines that a cluster without a server, or without a leader, can cause in great numbers. */
  readonly limitedLog: LimitedLog
}

const connectMs = 3_000
const retryMsMin = 250
const retryMsMax = 5_000
/** A frozen server is left after three of these. */
const pingEveryMs = 2_000
const unansweredPingsMax = 2

/**
 * Connects to one of the servers. While there is none it waits, and tells so once a minute. A
 * connection that is lost is made again without end, to any server of the cluster.
 *
 * @param signal gives up waiting
 * @throws SluiceError ClusterMisconfigured: the login or TLS is refused; IdentityFileInvalid: a
 *   file cannot be read; an AbortError when the signal aborts
 */
export async function connectToNats(
  dependencies: NatsDependencies,
  config: ClusterConfig,
  signal: AbortSignal,
): Promise<NatsConnection> {
  const { clock, logger, limitedLog } = dependencies
  const options = await optionsOf(config)
  let waitMs = retryMsMin
  for (;;) {
    signal.throwIfAborted()
    const connecting = connect(options)
    try {
      const connection = await unlessAborted(connecting, signal)
      logger.info(
        { server: connection.getServer(), version: connection.info?.version },
        'connected to NATS',
      )
      void logStatus(dependencies, connection)
      return connection
    } catch (thrown) {
      if (signal.aborted) {
        connecting.then(
          (late) => void late.close(),
          () => undefined,
        )
        throw thrown
      }
      const problem = problemOfConnecting(thrown)
      if (problem.kind === 'fault') throw problem.error
      const { servers } = config
      limitedLog.warn('connect', { servers, reason: problem.text }, 'waiting for a NATS server')
    }
    await clock.sleep(waitMs, signal)
    waitMs = Math.min(waitMs * 2, retryMsMax)
  }
}

async function optionsOf({ name, servers, login, tls }: ClusterConfig) {
  const authenticator = await authenticatorOf(login)
  const options: NodeConnectionOptions = {
    servers: [...servers],
    name: `sluice ${name}`,
    // Node.js tries all addresses of a name; the client would report the last error alone.
    resolve: false,
    timeout: connectMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: retryMsMin,
    reconnectJitter: retryMsMin,
    reconnectJitterTLS: retryMsMin,
    pingInterval: pingEveryMs,
    maxPingOut: unansweredPingsMax,
    // A server that refuses the login today may be one whose accounts are being changed.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    ...(authenticator && { authenticator }),
    ...(tls && { tls: await tlsOptionsOf(tls) }),
  }
  return options
}

async function authenticatorOf(login: NatsLogin): Promise<Authenticator | undefined> {
  switch (login.kind) {
    case 'none':
      return undefined
    case 'password':
      return usernamePasswordAuthenticator(login.user, login.password)
    case 'token':
      return tokenAuthenticator(login.token)
    case 'credentials': {
      const { file } = login
      const secret = await readSecret(file, 'SLUICE_NATS_CREDENTIALS_FILE')
      return renewed(file, secret, credsAuthenticator, 'is no credentials file of NATS')
    }
    case 'nkey': {
      const { file } = login
      const secret = await readSecret(file, 'SLUICE_NATS_NKEY_FILE')
      return renewed(file, secret, nkeyAuthenticator, 'holds no NKEY seed of a user (SU...)')
    }
    default:
      return login satisfies never
  }
}

async function readSecret(file: string, variable: string): Promise<Uint8Array> {
  const secret = await readSecretFile(file)
  if (secret === undefined) throw missing(file, variable)
  return Buffer.from(secret.text.trim())
}

/**
 * Reads the file again for each login, so that a renewed one is used. A file that is being replaced
 * is passed over: the client gives up for good when an authenticator throws.
 *
 * @throws SluiceError IdentityFileInvalid: the first login cannot be made
 */
function renewed(
  file: string,
  secret: Uint8Array,
  make: (secret: Uint8Array) => Authenticator,
  problem: string,
): Authenticator {
  let last = make(secret)
  try {
    last('nonce')
  } catch (thrown) {
    throw new SluiceError('IdentityFileInvalid', `${file} ${problem}`, { cause: thrown })
  }
  return (nonce) => {
    try {
      const next = make(Buffer.from(readFileSync(file, 'utf8').trim()))
      const login = next(nonce)
      last = next
      return login
    } catch {
      return last(nonce)
    }
  }
}

/** The client reads the files again for each connection. */
async function tlsOptionsOf({ authorityFile, client }: NatsTls) {
  if (authorityFile !== undefined && (await readPublicFile(authorityFile)) === undefined) {
    throw missing(authorityFile, 'SLUICE_NATS_CA_FILE')
  }
  if (client === undefined) return authorityFile === undefined ? {} : { caFile: authorityFile }
  if ((await readPublicFile(client.certificateFile)) === undefined) {
    throw missing(client.certificateFile, 'SLUICE_NATS_CERT_FILE')
  }
  if ((await readSecretFile(client.keyFile)) === undefined) {
    throw missing(client.keyFile, 'SLUICE_NATS_KEY_FILE')
  }
  return {
    ...(authorityFile !== undefined && { caFile: authorityFile }),
    certFile: client.certificateFile,
    keyFile: client.keyFile,
  }
}

function missing(file: string, variable: string): SluiceError {
  return new SluiceError('IdentityFileInvalid', `${variable}: there is no file ${file}`)
}

/** Tells of the connection until it is closed. */
async function logStatus(
  { logger, limitedLog }: NatsDependencies,
  connection: NatsConnection,
): Promise<void> {
  for await (const status of connection.status()) {
    switch (status.type) {
      case 'disconnect':
        limitedLog.warn('disconnect', { server: status.server }, 'lost the connection to NATS')
        break
      case 'reconnect': {
        const { info } = connection
        const fault = info && faultOfServer(info)
        logger.info({ server: status.server, version: info?.version }, 'connected to NATS again')
        if (fault !== undefined) logger.error({ server: status.server }, fault)
        break
      }
      case 'staleConnection':
        limitedLog.warn('stale', {}, 'the NATS server does not answer: another one is tried')
        break
      case 'error':
        limitedLog.warn('error', { err: status.error }, 'the NATS server reports an error')
        break
      case 'ldm':
        logger.info({ server: status.server }, 'the NATS server is shutting down')
        break
      case 'close':
      case 'forceReconnect':
      case 'ping':
      case 'reconnecting':
      case 'slowConsumer':
      case 'update':
        break
      default:
        status satisfies never
    }
  }
}
