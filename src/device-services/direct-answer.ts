import type { Message } from '../message.ts'

/**
 * An answer for the client that asked and nobody else.
 *
 * @returns undefined when no client asked: the request came by HTTP
 */
export function directAnswer(
  { clientId, timestampMs }: Pick<Message, 'clientId' | 'timestampMs'>,
  topic: string,
  document: Readonly<Record<string, unknown>>,
): Message | undefined {
  if (clientId === undefined) return undefined
  return {
    topic,
    payload: Buffer.from(JSON.stringify(document)),
    qos: 0,
    retain: false,
    transport: 'mqtt',
    timestampMs,
    receiver: clientId,
  }
}

/** A member of a request that is a text; undefined where it is not, or the request no JSON. */
export function textOfRequest({ payload }: Pick<Message, 'payload'>, name: string) {
  try {
    const document: unknown = JSON.parse(payload.toString())
    if (typeof document !== 'object' || document === null) return undefined
    const value: unknown = Object.entries(document).find(([key]) => key === name)?.[1]
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}
