import { bodyStart, qosOf } from '../gate/frames.ts'
import type { FrameFault } from '../gate/frames.ts'
import { reasonCode } from './reason-codes.ts'

/**
 * The PUBLISHes of QoS 1 and 2 that a client has sent and that are not answered, MQTT 5 section
 * 4.9. They are counted as they are read, and freed no later than their answer is written, so a
 * client that keeps to the receive maximum never passes it.
 */
export interface ReceiveWindow {
  /** Counts a whole PUBLISH, of which nothing is checked yet. */
  read(bytes: Buffer, offset: number, length: number): FrameFault | undefined
  /** A PUBLISH of QoS 1 is answered. */
  acknowledged(): void
  /** One of QoS 2 is: PUBREL came, or its PUBREC refuses it. */
  released(packetId: number): void
}

export const createReceiveWindow = (maximum: number): ReceiveWindow => new Window(maximum)

/** A class, because every connection has one: its functions are not made for each. */
class Window implements ReceiveWindow {
  private unanswered = 0
  /** Packet ids of QoS 2; a PUBLISH that is sent again counts once. Made for the first one. */
  private open: Set<number> | undefined
  private readonly maximum: number

  constructor(maximum: number) {
    this.maximum = maximum
  }

  read(bytes: Buffer, offset: number, length: number): FrameFault | undefined {
    const qos = qosOf(bytes, offset)
    if (qos === 0) return undefined
    if (qos === 1) this.unanswered++
    else {
      this.open ??= new Set()
      this.open.add(packetIdOf(bytes, bodyStart(bytes, offset), offset + length))
    }
    if (this.unanswered + (this.open?.size ?? 0) <= this.maximum) return undefined
    return {
      reason: 'receive_maximum',
      detail: `more than ${this.maximum} unanswered PUBLISHes`,
      reasonCode: reasonCode.receiveMaximumExceeded,
    }
  }

  acknowledged(): void {
    this.unanswered--
  }

  released(packetId: number): void {
    this.open?.delete(packetId)
  }
}

/** 0 when the PUBLISH is cut off, which is found later. */
function packetIdOf(bytes: Buffer, body: number, end: number): number {
  if (body + 2 > end) return 0
  const at = body + 2 + bytes.readUInt16BE(body)
  return at + 2 <= end ? bytes.readUInt16BE(at) : 0
}
