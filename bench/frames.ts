import type { LoadRequest } from './messages.ts'

/**
 * MQTT as bytes, made once: the load generator must not be what is measured.
 *
 * The payload is JSON of a fixed length that begins `{"t":<16 digits>,`: the time of writing in
 * microseconds of the machine's monotonic clock, which all processes share.
 */
export const connectFrame = (clientId: string, version: 4 | 5 = 4): Buffer => {
  const id = Buffer.from(clientId)
  const noProperties = Buffer.alloc(version === 5 ? 1 : 0)
  return Buffer.concat([
    Buffer.from([0x10, 12 + noProperties.length + id.length, 0, 4]),
    Buffer.from('MQTT'),
    Buffer.from([version, 2, 0, 0]),
    noProperties,
    Buffer.from([id.length >> 8, id.length & 255]),
    id,
  ])
}

export interface PublishTemplate {
  readonly frame: Buffer
  /** Where the packet id stands; QoS 1 only. */
  readonly idAt: number
  readonly timeAt: number
}

const timeDigits = 16

export function publishTemplate(
  topic: string,
  { qos, payloadBytes, version }: Pick<LoadRequest, 'qos' | 'payloadBytes' | 'version'>,
): PublishTemplate {
  const name = Buffer.from(topic)
  const payload = Buffer.from(jsonOf(payloadBytes))
  const idBytes = qos === 0 ? 0 : 2
  const propertyBytes = version === 5 ? 1 : 0
  const remaining = 2 + name.length + idBytes + propertyBytes + payload.length
  const header = [0x30 | (qos << 1)]
  for (let left = remaining; ; left >>= 7) {
    header.push(left < 128 ? left : (left & 127) | 128)
    if (left < 128) break
  }
  const start = header.length + 2 + name.length
  const frame = Buffer.concat([
    Buffer.from([...header, name.length >> 8, name.length & 255]),
    name,
    Buffer.alloc(idBytes + propertyBytes),
    payload,
  ])
  return { frame, idAt: start, timeAt: start + idBytes + propertyBytes + '{"t":'.length }
}

function jsonOf(bytes: number): string {
  const head = `{"t":${'1'.repeat(timeDigits)},"temp":21.625,"humidity":48.25,"device":"b8:27:eb:bf:9d:51","note":"`
  return `${head}${'x'.repeat(Math.max(0, bytes - head.length - 2))}"}`
}

export const nowMicroseconds = (): number => Number(process.hrtime.bigint() / 1000n)

/** Writes the time in digits; the first is 1, so that the number keeps its length. */
export function writeTime(bytes: Buffer, at: number, microseconds: number): void {
  let left = microseconds
  for (let index = at + timeDigits - 1; index > at; index--) {
    const rest = Math.floor(left / 10)
    bytes[index] = 48 + (left - rest * 10)
    left = rest
  }
}

/** @returns the microseconds that `writeTime` wrote into a payload */
export const readTime = (payload: Buffer): number =>
  Number(payload.toString('latin1', '{"t":'.length + 1, '{"t":'.length + timeDigits))
