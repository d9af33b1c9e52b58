import type { Message } from '../message.ts'
import type { Origin } from '../outbox/outbox.ts'

/**
 * What a record keeps of the message that it comes from. Made once a message: all its records have
 * the same one.
 *
 * @param newUuid names a message that has no trace id
 */
export function originOf(message: Message, newUuid: () => string): Origin {
  const { topic, payload, timestampMs, clientId, traceId, principal, republishDepth } = message
  const messageId = traceId ?? newUuid()
  const origin: { -readonly [Name in keyof Origin]: Origin[Name] } = {
    messageId,
    topic,
    timestampMs,
    payload,
  }
  // Not by spreading: that costs more than all the rest, for every message.
  if (clientId !== undefined) origin.clientId = clientId
  if (traceId !== undefined) origin.traceId = traceId
  if (principal !== undefined) origin.principal = principal
  if (republishDepth !== undefined) origin.republishDepth = republishDepth
  return origin
}

/** The message of an origin, as far as it was kept: its headers and source address were not. */
export function messageOfOrigin(origin: Origin): Message {
  const { topic, payload, timestampMs, clientId, traceId, principal, republishDepth } = origin
  return {
    topic,
    payload,
    qos: 1,
    retain: false,
    transport: clientId === undefined ? 'http' : 'mqtt',
    timestampMs,
    ...(clientId === undefined ? {} : { clientId }),
    ...(traceId === undefined ? {} : { traceId }),
    ...(principal === undefined ? {} : { principal }),
    ...(republishDepth === undefined ? {} : { republishDepth }),
  }
}
