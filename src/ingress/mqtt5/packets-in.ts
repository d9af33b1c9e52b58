import type { FrameFault } from '../gate/frames.ts'
import { isShared } from '../../topics/shared-filter.ts'
import {
  endOfText,
  malformed,
  property,
  protocolError,
  readBlock,
  readVariable,
  textAt,
} from './properties.ts'
import { reasonCode } from './reason-codes.ts'

/** Reads packets of MQTT 5 that are not handed on as they are, without their fixed header. */
export interface SubscriptionOptions {
  readonly qos: 0 | 1 | 2
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** 0: retained messages are always sent; 1: only for a new subscription; 2: never. */
  readonly retainHandling: 0 | 1 | 2
  readonly identifier: number | undefined
}

export interface Subscribe {
  readonly packetId: number
  readonly filters: readonly { readonly filter: string; readonly options: SubscriptionOptions }[]
}

/** Section 3.8. */
export function readSubscribe(body: Buffer): Subscribe | FrameFault {
  const packetId = readPacketId(body)
  if (typeof packetId !== 'number') return packetId
  let identifier: number | undefined
  const start = readBlock(body, 2, body.length, 'subscribe', (which, from, to) => {
    if (which === property.subscriptionIdentifier) identifier = readVariable(body, from, to)
  })
  if (typeof start !== 'number') return start
  const filters: { readonly filter: string; readonly options: SubscriptionOptions }[] = []
  for (let at = start; at < body.length;) {
    const end = endOfText(body, at, body.length)
    const options = body[end]
    if (end === -1 || options === undefined) {
      return malformed('a topic filter is cut off, or is not valid UTF-8')
    }
    const filter = textAt(body, at)
    const fault = findOptionsFault(options, filter)
    if (fault !== undefined) return fault
    filters.push({ filter, options: { ...optionsOf(options), identifier } })
    at = end + 1
  }
  if (filters.length === 0) return protocolError('a SUBSCRIBE without a topic filter')
  return { packetId, filters }
}

/** [MQTT-3.8.3-5], [MQTT-3.8.3-4]; a Retain Handling or QoS of 3 is a protocol error. */
function findOptionsFault(options: number, filter: string): FrameFault | undefined {
  if ((options & 0xc0) !== 0) return malformed('reserved bits of the subscription options are set')
  if ((options & 3) === 3) return protocolError('a subscription of QoS 3')
  if (((options >> 4) & 3) === 3) return protocolError('a Retain Handling of 3')
  return isShared(filter) && (options & 4) !== 0
    ? protocolError('No Local on a shared subscription')
    : undefined
}

const optionsOf = (options: number) => ({
  qos: (options & 3) as SubscriptionOptions['qos'],
  noLocal: (options & 4) !== 0,
  retainAsPublished: (options & 8) !== 0,
  retainHandling: ((options >> 4) & 3) as SubscriptionOptions['retainHandling'],
})

export interface Unsubscribe {
  readonly packetId: number
  readonly filters: readonly string[]
}

/** Section 3.10. */
export function readUnsubscribe(body: Buffer): Unsubscribe | FrameFault {
  const packetId = readPacketId(body)
  if (typeof packetId !== 'number') return packetId
  const start = readBlock(body, 2, body.length, 'unsubscribe')
  if (typeof start !== 'number') return start
  const filters: string[] = []
  for (let at = start; at < body.length;) {
    const end = endOfText(body, at, body.length)
    if (end === -1) return malformed('a topic filter is cut off, or is not valid UTF-8')
    filters.push(textAt(body, at))
    at = end
  }
  if (filters.length === 0) return protocolError('an UNSUBSCRIBE without a topic filter')
  return { packetId, filters }
}

/** PUBACK, PUBREC, PUBREL and PUBCOMP, sections 3.4 to 3.7: code and properties may be absent. */
export function readAcknowledgement(
  body: Buffer,
): { readonly packetId: number; readonly code: number } | FrameFault {
  const packetId = readPacketId(body)
  if (typeof packetId !== 'number') return packetId
  const [, , code = reasonCode.success] = body
  if (body.length <= 3) return { packetId, code }
  const end = readBlock(body, 3, body.length, 'acknowledgement')
  if (typeof end !== 'number') return end
  return end === body.length ? { packetId, code } : malformed('an acknowledgement is too long')
}

/** Section 3.14: code and properties may be absent. */
export function readDisconnect(
  body: Buffer,
): { readonly code: number; readonly sessionExpirySeconds: number | undefined } | FrameFault {
  const [code = reasonCode.success] = body
  let sessionExpirySeconds: number | undefined
  if (body.length <= 1) return { code, sessionExpirySeconds }
  const end = readBlock(body, 1, body.length, 'disconnect', (identifier, from) => {
    if (identifier === property.sessionExpiryInterval)
      sessionExpirySeconds = body.readUInt32BE(from)
  })
  if (typeof end !== 'number') return end
  if (end !== body.length) return malformed('a DISCONNECT longer than its own fields')
  return { code, sessionExpirySeconds }
}

/** [MQTT-2.2.1-3] */
function readPacketId(body: Buffer): number | FrameFault {
  if (body.length < 2) return malformed('the packet id is missing')
  const packetId = body.readUInt16BE(0)
  return packetId === 0 ? protocolError('packet id 0') : packetId
}
