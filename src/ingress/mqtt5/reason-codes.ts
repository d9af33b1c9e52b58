import type { GateFault } from '../gate/gate.ts'

/** The reason codes of MQTT 5 that the broker sends or understands, MQTT 5 section 2.4. */
export const reasonCode = Object.freeze({
  success: 0x00,
  disconnectWithWill: 0x04,
  noSubscriptionExisted: 0x11,
  unspecified: 0x80,
  malformed: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedVersion: 0x84,
  clientIdNotValid: 0x85,
  badCredentials: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  shuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  takenOver: 0x8e,
  filterNotValid: 0x8f,
  topicNotValid: 0x90,
  packetIdNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasNotValid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  qosNotSupported: 0x9b,
  sharedNotSupported: 0x9e,
  subscriptionIdsNotSupported: 0xa1,
})

/** Why the gate ends a connection, as a DISCONNECT says it. */
export function codeOfFault({ reason, reasonCode: code }: GateFault): number {
  return code ?? codes[reason] ?? reasonCode.malformed
}

const codes: Readonly<Partial<Record<GateFault['reason'], number>>> = Object.freeze({
  payload_too_large: reasonCode.packetTooLarge,
  packet_too_large: reasonCode.packetTooLarge,
  topic_invalid: reasonCode.topicNotValid,
  topic_reserved: reasonCode.topicNotValid,
  keepalive_timeout: reasonCode.keepAliveTimeout,
  held_answers: reasonCode.quotaExceeded,
  held_bytes: reasonCode.quotaExceeded,
  not_draining: reasonCode.quotaExceeded,
  packet_timeout: reasonCode.unspecified,
})

/** The return codes 1 to 5 of an MQTT 3.1.1 CONNACK as reason codes. */
const connackCodes = [
  reasonCode.success,
  reasonCode.unsupportedVersion,
  reasonCode.clientIdNotValid,
  reasonCode.serverUnavailable,
  reasonCode.badCredentials,
  reasonCode.notAuthorized,
]

export const codeOfReturnCode = (returnCode: number): number =>
  connackCodes[returnCode] ?? reasonCode.unspecified
