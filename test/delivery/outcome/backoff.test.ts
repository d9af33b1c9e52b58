import { describe, expect, it } from 'vitest'
import { createGate } from '../../../src/delivery/outcome/backoff.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

function openGate() {
  const clock = createManualClock(1_000_000)
  const gate = createGate({ clock, random: () => 0.5 }, { maxInFlight: 16 })
  return { clock, gate, allowed: () => gate.allowed(clock.monotonicMs()) }
}

describe('the gate of a destination', () => {
  it('is open at first', () => {
    const { allowed } = openGate()
    expect(allowed()).toBe(16)
  })

  it('closes after a failure, then lets one call try', () => {
    const { clock, gate, allowed } = openGate()
    gate.failed(gate.round(), 'passing')
    expect(allowed()).toBe(0)
    clock.advance(49)
    expect(allowed()).toBe(0)
    clock.advance(1)
    expect(allowed()).toBe(1)
    gate.answered()
    expect(allowed()).toBe(16)
  })

  it('counts the failures of calls that were in flight together as one', () => {
    const { clock, gate, allowed } = openGate()
    const round = gate.round()
    for (let call = 0; call < 16; call++) gate.failed(round, 'passing')
    clock.advance(50)
    expect(allowed()).toBe(1)
  })

  it('stays closed longer after each further failure', () => {
    const { clock, gate } = openGate()
    const delays = Array.from({ length: 8 }, () => {
      gate.failed(gate.round(), 'destination')
      const delayMs = gate.opensAtMs() - clock.monotonicMs()
      clock.advance(delayMs)
      return delayMs
    })
    expect(delays).toEqual([750, 1_500, 3_000, 6_000, 12_000, 24_000, 45_000, 45_000])
  })

  it('opens at once when what was missing is there, whatever earlier calls still say', () => {
    const { gate, allowed } = openGate()
    const round = gate.round()
    gate.failed(round, 'destination')
    gate.reset()
    gate.failed(round, 'destination')
    expect(allowed()).toBe(16)
  })
})
