import type { IClientOptions, MqttClient } from 'mqtt'
import { systemClock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import type { Broker } from './broker-options.ts'

/**
 * One MQTT connection of a command, and why it could not be made, told apart for the person who
 * typed it: nothing listens, TLS failed, the login was refused, the broker hung up.
 */
type Session = Pick<IClientOptions, 'will' | 'reconnectPeriod'> & {
  readonly clientId: string
}

const connectTimeoutMs = 5_000

/**
 * Connects once; the connection is not made anew unless `reconnectPeriod` says so.
 *
 * @throws SluiceError (rejects) BrokerUnreachable, BrokerRefused
 */
export async function connectBroker(broker: Broker, session: Session): Promise<MqttClient> {
  // Loaded when needed: `sluice --help` should not wait for it.
  const { default: mqtt } = await import('mqtt')
  const { host, port, tls, user, password } = broker
  const startedMs = systemClock.monotonicMs()
  const client = mqtt.connect({
    protocol: tls ? 'mqtts' : 'mqtt',
    host,
    port,
    protocolVersion: 4,
    connectTimeout: connectTimeoutMs,
    reconnectPeriod: 0,
    ...(user !== undefined && { username: user }),
    ...(password !== undefined && { password }),
    ...(tls?.ca && { ca: tls.ca }),
    ...(tls?.cert && { cert: tls.cert }),
    ...(tls?.key && { key: tls.key }),
    ...session,
  })
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve())
      client.once('error', reject)
      client.once('close', () => reject(new Error('closed')))
    })
  } catch (thrown) {
    // What it still says has been said.
    client.on('error', () => undefined)
    client.end(true)
    const waitedMs = systemClock.monotonicMs() - startedMs
    throw connectFailure(broker, thrown, { isLate: waitedMs >= connectTimeoutMs })
  }
  // Of a connection that stands an error is followed by its end, which is what counts.
  client.on('error', () => undefined)
  return client
}

/**
 * DISCONNECT, once what was published is answered; without a connection, or where nobody waits for
 * answers any more, the end at once. Never rejects.
 */
export async function endClient(client: MqttClient, isForced = false): Promise<void> {
  // A second call would never be answered.
  if (client.disconnecting) return
  await client.endAsync(isForced || !client.connected).catch(() => undefined)
}

/** Return codes of CONNACK, MQTT 3.1.1 section 3.2.2.3. */
const refusals: Readonly<Record<number, string>> = {
  1: 'it does not speak MQTT 3.1.1',
  2: 'it does not take this client id',
  3: 'it is not available at the moment; try again',
  4: 'user name or password is not right',
  5:
    'the client may not connect: it needs a certificate (--cert, --key) or a password (--user, ' +
    '--password), or a policy that allows iot:Connect',
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
}

/** @returns what a CONNACK says that is not worth another try; undefined for everything else */
export function refusalOf(thrown: unknown): string | undefined {
  const code = codeOf(thrown)
  return typeof code === 'number' ? (refusals[code] ?? messageOf(thrown)) : undefined
}

/** @param isLate the time for an answer is over */
export function connectFailure(
  broker: Broker,
  thrown: unknown,
  { isLate }: { readonly isLate: boolean },
): SluiceError {
  const where = addressOf(broker)
  const refusal = refusalOf(thrown)
  if (refusal !== undefined) {
    return failure('BrokerRefused', `${where} refused the connection: ${refusal}`, thrown)
  }
  const code = codeOf(thrown)
  if (typeof code === 'string' && unreachableCodes.has(code)) {
    const text = `no MQTT broker answers at ${where}: ${unreachableReason(code, thrown)}`
    return failure('BrokerUnreachable', text, thrown)
  }
  if (isLate) {
    const seconds = connectTimeoutMs / 1_000
    const text = `${where} did not answer within ${seconds} s: is it an MQTT broker`
    const hint = broker.tls ? '?' : ', and one without TLS on this port? (--tls, --ca)'
    return failure('BrokerUnreachable', text + hint, thrown)
  }
  if (broker.tls) return tlsFailure(broker, typeof code === 'string' ? code : '', thrown)
  return failure(
    'BrokerRefused',
    `${where} closed the connection without an answer: it may speak TLS on this port ` +
      '(--tls, --ca), or have too many connections',
    thrown,
  )
}

const unreachableCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
])

function unreachableReason(code: string, thrown: unknown): string {
  if (code === 'ECONNREFUSED') return 'nothing listens there (`npm start` runs one)'
  return messageOf(thrown) || code
}

/** OpenSSL and Node name what is wrong; what to do about it depends on the options. */
function tlsFailure(broker: Broker, code: string, thrown: unknown): SluiceError {
  const where = addressOf(broker)
  const reason = messageOf(thrown)
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(code + reason)) {
    const text = `${where} does not speak TLS on this port: connect without --tls, --ca and --cert`
    return failure('BrokerRefused', text, thrown)
  }
  if (/SELF_SIGNED|UNABLE_TO|CERT_UNTRUSTED/.test(code)) {
    const text = `the certificate of ${where} is of no known CA: name the CA with --ca (${reason})`
    return failure('BrokerRefused', text, thrown)
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const text = `the certificate of ${where} is of another host: ${reason}`
    return failure('BrokerRefused', text, thrown)
  }
  const hint = broker.tls?.cert
    ? 'it may not know the CA of the certificate of this client, or not speak TLS on this port'
    : 'it may want a certificate of this client (--cert, --key), or not speak TLS on this port'
  const detail = reason === 'closed' ? '' : `${reason.split('\n', 1)[0]}; `
  return failure('BrokerRefused', `TLS with ${where} failed: ${detail}${hint}`, thrown)
}

/** A connection that ended before the broker had answered what was sent on it. */
export function lostConnection(broker: Broker, what: string): SluiceError {
  return failure(
    'BrokerRefused',
    `${addressOf(broker)} closed the connection instead of answering ${what}: most likely a ` +
      'policy or a limit does not allow it; the log of the engine says which',
    undefined,
  )
}

export function addressOf({ host, port }: Pick<Broker, 'host' | 'port'>): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function failure(
  code: 'BrokerRefused' | 'BrokerUnreachable',
  message: string,
  cause: unknown,
): SluiceError {
  return new SluiceError(code, message, { cause })
}
