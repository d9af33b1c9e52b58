import type { RelayedMessage } from '../../ingress/relay/relay.ts'
import type { Mqtt5Properties } from '../../message.ts'

/**
 * A message between nodes: the length of the head in four bytes, the head as JSON, the payload.
 * Members may be added to the head; a change that earlier releases must not read has another `v`.
 */
const version = 1
const lengthBytes = 4

/** Who sent a message, and which of its messages it is: they are numbered from 1. */
interface Sent {
  readonly origin: string
  readonly number: number
}

interface Head {
  readonly v: number
  readonly o: string
  readonly n: number
  readonly t: string
  readonly q: 0 | 1 | 2
  readonly c?: string | undefined
  readonly p?: (Omit<Mqtt5Properties, 'correlationData'> & { readonly d?: string }) | undefined
}

export function encodeRelayed({ origin, number }: Sent, message: RelayedMessage): Buffer {
  const { topic, payload, qos, publisher, mqtt5 } = message
  const head: Head = {
    v: version,
    o: origin,
    n: number,
    t: topic,
    q: qos,
    c: publisher,
    p: mqtt5 && propertiesOut(mqtt5),
  }
  const text = Buffer.from(JSON.stringify(head))
  const length = Buffer.alloc(lengthBytes)
  length.writeUInt32BE(text.length)
  return Buffer.concat([length, text, payload])
}

/**
 * @returns undefined when it cannot be read: it is of a later release, or of somebody else. The
 *   payload is a view of the data.
 */
export function decodeRelayed(
  data: Uint8Array,
): { readonly sent: Sent; readonly message: RelayedMessage } | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (bytes.length < lengthBytes) return undefined
  const end = lengthBytes + bytes.readUInt32BE()
  if (end > bytes.length) return undefined
  try {
    const head = JSON.parse(bytes.toString('utf8', lengthBytes, end)) as Head | null
    if (head === null || !isSound(head)) return undefined
    const { o: origin, n: number, t: topic, q: qos, c: publisher, p } = head
    const payload = bytes.subarray(end)
    const mqtt5 = p && propertiesIn(p)
    return { sent: { origin, number }, message: { topic, payload, qos, publisher, mqtt5 } }
  } catch {
    return undefined
  }
}

const isSound = ({ v, o, n, t, q, c, p }: Head): boolean =>
  v === version &&
  typeof o === 'string' &&
  typeof n === 'number' &&
  typeof t === 'string' &&
  /^[^+#]+$/.test(t) &&
  [0, 1, 2].includes(q) &&
  ['undefined', 'string'].includes(typeof c) &&
  ['undefined', 'object'].includes(typeof p)

function propertiesOut({ correlationData, ...others }: Mqtt5Properties): Head['p'] {
  return { ...others, ...(correlationData && { d: correlationData.toString('base64') }) }
}

function propertiesIn({ d, ...others }: NonNullable<Head['p']>): Mqtt5Properties {
  return { ...others, ...(d !== undefined && { correlationData: Buffer.from(d, 'base64') }) }
}
