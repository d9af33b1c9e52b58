import type { PublishPacket } from 'aedes'
import type { Mqtt5Properties } from '../../message.ts'
import type { Keep } from './keeping.ts'

/**
 * What a message has beyond MQTT 3.1.1. Aedes copies the member `properties` of a packet wherever
 * it copies a packet, and writes it to no client of MQTT 3.1.1, so it is carried there.
 */
export interface CarriedProperties {
  /** Undefined for a message without properties that is kept. */
  readonly mqtt5: Mqtt5Properties | undefined
  /** When the message expires, by the monotonic clock; undefined: never. */
  readonly expiresAtMs: number | undefined
  /** What is on disk of the message, until it is handed to the subscribers. */
  readonly keep?: Keep | undefined
  /** It comes from another node of the cluster, whose own groups have dealt it out. */
  readonly isRelayed?: true | undefined
}

type WithProperties = Pick<PublishPacket, 'properties'>

const withoutProperties = Object.freeze({ mqtt5: undefined, expiresAtMs: undefined })

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

/** Puts what is on disk of a message on its packet. */
export function carryKeep(packet: WithProperties, keep: Keep): void {
  recarry(packet, { ...withoutProperties, ...carriedBy(packet), keep })
}

/** Says of a message that it comes from another node. */
export function markRelayed(packet: WithProperties): void {
  recarry(packet, { ...withoutProperties, ...carriedBy(packet), isRelayed: true })
}

/** What is stored of it with the message. */
export function storedPart(carried: CarriedProperties | undefined): CarriedProperties | undefined {
  if (carried?.keep === undefined && carried?.isRelayed === undefined) return carried
  const { mqtt5, expiresAtMs } = carried
  return mqtt5 === undefined ? undefined : { mqtt5, expiresAtMs }
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
  if (carried?.mqtt5 === undefined) return 0
  const { contentType, responseTopic, correlationData, userProperties = [] } = carried.mqtt5
  let bytes = 100 + (contentType?.length ?? 0) + (responseTopic?.length ?? 0)
  bytes += correlationData?.length ?? 0
  for (const [key, value] of userProperties) bytes += 50 + key.length + value.length
  return bytes
}
