import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createGate } from '../../src/ingress/gate.ts'
import { createHeldBytes } from '../../src/ingress/held-bytes.ts'
import { topicLimits } from '../../src/ingress/topic.ts'

const limits = {
  ...topicLimits,
  payloadBytesMax: 1_000,
  filtersPerSubscribeMax: 8,
  unfinishedMax: 64,
  readAheadBytesMax: 1_000,
  publishRate: 0,
  closeTimeoutMs: 1_000,
}

/** A connection whose other side does not read. */
function createSocket() {
  const socket = new Duplex({ read: () => undefined, write: () => undefined })
  return Object.assign(socket, { destroySoon: () => void socket.destroy() })
}

test('nobody waits for the drain of a client that has gone', () => {
  const events = {
    fault: () => undefined,
    publishReleased: () => undefined,
    closed: () => undefined,
  }
  const heldBytes = createHeldBytes(1_000_000)
  const gate = createGate({ socket: createSocket(), clock: systemClock, events, heldBytes }, limits)
  const large = Buffer.alloc(1_000_000)
  expect(gate.stream.write(large)).toBe(false)
  gate.stream.destroy()
  expect(gate.stream.write(large)).toBe(true)
})
