import type { PublishPacket } from 'aedes'
import type { Mqtt5Properties } from '../../message.ts'

/**
 * What a message has beyond MQTT 3.1.1. Aedes copies the member `properties` of a packet wherever
 * it copies a packet, and writes it to no client of MQTT 3.1.1, so it is carried there.
 */
export interface CarriedProperties {
  readonly mqtt5: Mqtt5Properties
  /** When the message expires, by the monotonic clock; undefined: never. */
  readonly expiresAtMs: number | undefined
}

type WithProperties = Pick<PublishPacket, 'properties'>

/** Puts the properties on a packet that comes from a publisher. */
export function carryProperties(
  packet: WithProperties,
  mqtt5: Mqtt5Properties | undefined,
  nowMs: number,
): void {
  if (mqtt5 === undefined) return
  const { messageExpirySeconds: seconds } = mqtt5
  const carried: CarriedProperties = {
    mqtt5,
    expiresAtMs: seconds === undefined ? undefined : nowMs + seconds * 1_000,
  }
  recarry(packet, carried)
}

/** Puts the properties of a stored message on a packet. */
export function recarry(packet: WithProperties, carried: CarriedProperties | undefined): void {
  if (carried !== undefined) packet.properties = carried as object
}

export function carriedBy(packet: {
  readonly properties?: object | undefined
}): CarriedProperties | undefined {
  return packet.properties as CarriedProperties | undefined
}

/** Whether the time of the message is over, so that no subscriber gets it any more. */
export function isExpired(carried: CarriedProperties | undefined, nowMs: number): boolean {
  return carried?.expiresAtMs !== undefined && carried.expiresAtMs <= nowMs
}

/** Approximate memory of the properties, for the bounds of what is stored. */
export function carriedBytes(carried: CarriedProperties | undefined): number {
  if (carried === undefined) return 0
  const { contentType, responseTopic, correlationData, userProperties = [] } = carried.mqtt5
  let bytes = 100 + (contentType?.length ?? 0) + (responseTopic?.length ?? 0)
  bytes += correlationData?.length ?? 0
  for (const [key, value] of userProperties) bytes += 50 + key.length + value.length
  return bytes
}
