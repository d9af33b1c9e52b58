import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { createGate } from '../../src/ingress/gate/gate.ts'
import type { GateFault } from '../../src/ingress/gate/gate.ts'
import { createHeldBytes } from '../../src/ingress/gate/held-bytes.ts'
import { awsTopicLimits } from '../../src/topics/topic-filter.ts'
import { createManualClock } from '../helpers/manual-clock.ts'

const limits = {
  ...awsTopicLimits,
  payloadBytesMax: 1_000,
  filtersPerSubscribeMax: 8,
  qosMax: 2,
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

function createGateOf(clock: Clock, faults: GateFault[] = []) {
  const events = {
    fault: (fault: GateFault) => void faults.push(fault),
    ignored: () => undefined,
    closed: () => undefined,
  }
  const heldBytes = createHeldBytes(
    { clock, stallChanged: () => undefined },
    { heldBytesMax: 1_000_000, packetTimeoutMs: 30_000 },
  )
  return createGate({ socket: createSocket(), clock, events, heldBytes }, limits)
}

test('no writer waits for the drain of a client that is gone', () => {
  const { stream } = createGateOf(systemClock)
  const large = Buffer.alloc(1_000_000)
  expect(stream.write(large)).toBe(false)
  stream.destroy()
  expect(stream.write(large)).toBe(true)
})

test('the keepalive of a client that went during its CONNECT is not watched', () => {
  const clock = createManualClock()
  const faults: GateFault[] = []
  const gate = createGateOf(clock, faults)
  gate.stream.destroy()
  gate.open(10)
  clock.advance(60_000)
  expect(faults).toEqual([])
})
