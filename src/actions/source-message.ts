import type { Message } from '../message.ts'
import type { SourceMessage } from '../outbox/outbox.ts'

/**
 * What a record keeps of the message that it comes from. Made once a message: all its records have
 * the same one.
 *
 * @param newUuid names a message that has no trace id
 */
export function sourceOf(message: Message, newUuid: () => string): SourceMessage {
  const { topic, payload, timestampMs, clientId, traceId, principal, republishDepth } = message
  const messageId = traceId ?? newUuid()
  const source: { -readonly [Name in keyof SourceMessage]: SourceMessage[Name] } = {
    messageId,
    topic,
    timestampMs,
    payload,
  }
  // Not by spreading: that costs more than all the rest, for every message.
  if (clientId !== undefined) source.clientId = clientId
  if (traceId !== undefined) source.traceId = traceId
  if (principal !== undefined) source.principal = principal
  if (republishDepth !== undefined) source.republishDepth = republishDepth
  return source
}

/** The message that a record comes from, without its headers and source address: no record has them. */
export function messageOfSource(source: SourceMessage): Message {
  const { topic, payload, timestampMs, clientId, traceId, principal, republishDepth } = source
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
