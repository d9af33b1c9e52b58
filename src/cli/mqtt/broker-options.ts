import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { variables } from '../../config/config.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { reachableHost } from '../../base/loopback.ts'
import { readVariables } from '../../config/variable.ts'
import { findRunningEngine } from './find-running-engine.ts'
import type { Host } from '../terminal/host.ts'

/** The options of commands that connect to an MQTT broker. */
export interface BrokerOptions {
  readonly host?: string
  readonly port?: number
  readonly tls: boolean
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly user?: string
  readonly password?: string
  readonly passwordFile?: string
}

/** Where a broker is, and how a client says who it is. */
export interface Broker {
  readonly host: string
  readonly port: number
  /** Absent: in the clear. Members that are absent: the CAs of Node, no certificate. */
  readonly tls: TlsIdentity | undefined
  readonly user: string | undefined
  readonly password: string | undefined
}

interface TlsIdentity {
  readonly ca: Buffer | undefined
  readonly cert: Buffer | undefined
  readonly key: Buffer | undefined
}

export const clientIdPrefix = 'sluice_pub_'

/** An id for a client that was given none: AWS IoT takes no connection without one. */
export function newClientId(prefix: string): string {
  return `${prefix}${randomUUID().slice(0, 8)}`
}

/** Adds the options; `-p`, `-u` and `-P` are those of other MQTT clients. */
export function withBrokerOptions(command: Command): Command {
  return command
    .option(
      '--host <host>',
      'MQTT broker (default: SLUICE_MQTT_HOST, else the engine that runs here, else 127.0.0.1)',
    )
    .option(
      '-p, --port <port>',
      'its port (default: SLUICE_MQTT_PORT, else that of the engine that runs here, else 1883; ' +
        'over TLS SLUICE_MQTTS_PORT and 8883)',
      parsePort,
    )
    .option('--tls', 'over TLS, which the next three say as well', false)
    .option('--ca <file>', 'PEM file of the CAs that the broker is verified by')
    .option('--cert <file>', 'PEM file of the certificate of the client')
    .option('--key <file>', 'PEM file of its key')
    .option('-u, --user <name>', 'user name')
    .option('-P, --password <text>', 'its password; a list of processes shows it')
    .option('--password-file <file>', 'file whose first line is the password')
}

/**
 * Resolves the options with the environment and with the engine that runs here.
 *
 * @throws SluiceError ConfigInvalid: a variable, a file, or options that do not go together
 */
export async function resolveBroker(host: Host, options: BrokerOptions): Promise<Broker> {
  const tls = await readTls(options)
  const password = await readPassword(options)
  if (password !== undefined && options.user === undefined) {
    throw invalid('a password needs a user name: --user')
  }
  return {
    ...(await findAddress(host, options, tls !== undefined)),
    tls,
    user: options.user,
    password,
  }
}

async function findAddress(
  host: Host,
  options: BrokerOptions,
  isOverTls: boolean,
): Promise<{ readonly host: string; readonly port: number }> {
  const { environment } = host
  const portName = isOverTls ? 'SLUICE_MQTTS_PORT' : 'SLUICE_MQTT_PORT'
  const read = readVariables(variables, environment, [
    'SLUICE_MQTT_HOST',
    'SLUICE_MQTTS_HOST',
    'SLUICE_MQTT_PORT',
    'SLUICE_MQTTS_PORT',
  ])
  const hostName =
    isOverTls && environment['SLUICE_MQTTS_HOST'] ? 'SLUICE_MQTTS_HOST' : 'SLUICE_MQTT_HOST'
  // Which port stands for 0 is known to the engine that listens there.
  const portGiven = environment[portName] && read[portName] !== 0 ? read[portName] : undefined
  const hostGiven = environment[hostName] ? read[hostName] : undefined
  // A broker elsewhere is not the one that runs here.
  const engine = options.host === undefined ? await findRunningEngine(host) : undefined
  const running = isOverTls ? engine?.mqtts : engine?.mqtt
  return {
    host: reachableHost(options.host ?? hostGiven ?? running?.host ?? '127.0.0.1'),
    port: options.port ?? portGiven ?? running?.port ?? (isOverTls ? 8883 : 1883),
  }
}

async function readTls({ tls, ca, cert, key }: BrokerOptions): Promise<TlsIdentity | undefined> {
  if (!tls && [ca, cert, key].every((file) => file === undefined)) return undefined
  if ((cert === undefined) !== (key === undefined)) {
    throw invalid('a certificate needs its key, and a key its certificate: --cert and --key')
  }
  return { ca: await readPem(ca), cert: await readPem(cert), key: await readPem(key) }
}

async function readPem(file: string | undefined): Promise<Buffer | undefined> {
  return file === undefined ? undefined : readGiven(file)
}

async function readPassword({
  password,
  passwordFile,
}: BrokerOptions): Promise<string | undefined> {
  if (passwordFile === undefined) return password
  if (password !== undefined) throw invalid('--password and --password-file are one too many')
  const text = (await readGiven(passwordFile)).toString('utf8')
  return text.split(/\r?\n/, 1)[0] ?? ''
}

async function readGiven(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (thrown) {
    throw invalid(`${file} cannot be read: ${messageOf(thrown)}`, thrown)
  }
}

function invalid(message: string, cause?: unknown): SluiceError {
  return new SluiceError('ConfigInvalid', message, { cause })
}

function parsePort(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port
  throw new InvalidArgumentError(`"${text}" is not a port (1 to 65535).`)
}

export function parseQos(text: string): 0 | 1 | 2 {
  if (text === '0') return 0
  if (text === '1') return 1
  if (text === '2') return 2
  throw new InvalidArgumentError('It must be 0, 1 or 2.')
}
