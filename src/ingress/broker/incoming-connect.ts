import { randomUUID } from 'node:crypto'
import type { Client, ConnectPacket } from 'aedes'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import { parseReservedRequest } from '../../topics/reserved-request.ts'
import { findTopicTextFault } from '../../topics/topic.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import { asOnAws } from '../mqtt5/profile.ts'
import type { Profile } from '../mqtt5/profile.ts'
import type { Connection } from './connection.ts'
import type { ReportNarrowed } from './narrowing.ts'
import { connectionGone } from './publishing.ts'

interface IncomingConnectDependencies {
  readonly connectionOf: (client: Client) => Connection | undefined
  readonly profile: Profile
  readonly log: LimitedLog
  readonly narrowed: ReportNarrowed
}

export interface IncomingConnectLimits extends TopicLimits {
  readonly clientIdBytesMax: number
}

/** Reads the CONNECT. An error ends the connection without an answer. */
export function prepareConnection(
  dependencies: IncomingConnectDependencies,
  limits: IncomingConnectLimits,
  client: Client,
  packet: ConnectPacket,
): Error | null {
  const connection = dependencies.connectionOf(client)
  if (connection === undefined) return connectionGone
  connection.keepAliveSeconds = keepAliveOf(dependencies, connection, packet)
  // The gate watches the keepalive; Aedes would cut a client that the gate holds back.
  packet.keepalive = 0
  reportExpiry(dependencies, connection, packet)
  const { mqtt5 } = connection
  connection.identifierFault = findClientIdFault(packet, limits, dependencies.profile)
  // [MQTT-3.1.3-6]. Policies and logs show this id, so its prefix names the broker.
  if (packet.clientId === '') packet.clientId = `sluice_${randomUUID()}`
  dropReservedWill(dependencies, connection, packet)
  const will = mqtt5 === undefined ? packet.will : mqtt5.will
  connection.will = will && { topic: will.topic, retain: will.retain ?? false }
  // Checked already, and answered with a reason code.
  if (mqtt5 !== undefined) return null
  const willFault = findWillFault(packet, limits, dependencies.profile)
  if (willFault === undefined) return null
  // The connection ends without CONNACK: MQTT 3.1.1 has no code for it.
  return Object.assign(new Error(willFault), { reason: 'will_invalid' })
}

/** @returns the seconds in force; the log tells of those that AWS IoT does not take */
function keepAliveOf(
  { profile, narrowed }: IncomingConnectDependencies,
  { mqtt5 }: Connection,
  { keepalive = 0, clientId }: ConnectPacket,
): number {
  const asked = mqtt5?.connect?.keepAliveSeconds ?? keepalive
  const inForce = profile.keepAlive(asked)
  if (inForce !== asked) {
    const does = `takes 30 to 1,200 s, so that ${inForce} s are in force`
    narrowed('keep_alive_adjusted', clientId, asOnAws(`a keep alive of ${asked} s`, does))
  }
  return inForce
}

function reportExpiry(
  { profile, narrowed }: IncomingConnectDependencies,
  { mqtt5 }: Connection,
  { clientId }: ConnectPacket,
): void {
  const { sessionExpirySeconds: asked = 0 } = mqtt5?.connect ?? {}
  const inForce = mqtt5?.sessionExpirySeconds ?? 0
  if (profile.name !== 'aws' || asked <= inForce) return
  const detail =
    `a Session Expiry Interval of ${asked} s: AWS IoT Core takes at most that of the account, here ` +
    `SLUICE_MQTT_SESSION_EXPIRY_S, and says in CONNACK that ${inForce} s are in force`
  narrowed('session_expiry_cut', clientId, detail)
}

function findClientIdFault(
  packet: ConnectPacket,
  { clientIdBytesMax: bytesMax }: IncomingConnectLimits,
  { takesDollarIds }: Profile,
): string | undefined {
  const { clientId } = packet
  // [MQTT-3.1.3-8]. Aedes would generate an id, and no client could resume the session of that id.
  if (clientId === '') {
    return packet.clean === false ? 'an empty client id needs a clean session' : undefined
  }
  if (Buffer.byteLength(clientId) > bytesMax) return `the client id is over ${bytesMax} bytes`
  if (/[\0\ufffd]/.test(clientId)) return 'the client id is not valid UTF-8'
  // Of MQTT 5 it was refused before.
  if (clientId.startsWith('$') && !takesDollarIds) {
    return asOnAws('a client id that begins with $', 'keeps such ids for itself')
  }
  return undefined
}

/**
 * AWS IoT takes such a will and its services ignore it [AWS IoT Developer Guide, "Device Shadow
 * reserved topics"].
 */
function dropReservedWill(
  { log }: IncomingConnectDependencies,
  { mqtt5 }: Connection,
  packet: ConnectPacket,
): void {
  const { clientId } = packet
  const will = mqtt5 === undefined ? packet.will : mqtt5.will
  if (will === undefined || parseReservedRequest(will.topic) === undefined) return
  delete packet.will
  mqtt5?.dropWill()
  log.warnOnce(
    'will_reserved',
    { reason: 'will_reserved', clientId, topic: will.topic },
    'a will on a reserved topic is ignored, as on AWS: publish it to another topic, and let a rule ' +
      'republish it',
  )
}

/** Only the topic is checked: the length of a will's payload has two bytes, within every limit. */
function findWillFault(
  { will }: ConnectPacket,
  limits: TopicLimits,
  { maximumQos }: Profile,
): string | undefined {
  if ((will?.qos ?? 0) > maximumQos) {
    return asOnAws('a will of QoS 2', 'has no QoS 2 and ends the connection')
  }
  const fault = will && findTopicTextFault(will.topic, limits)
  return fault && `will: ${fault.detail}`
}
