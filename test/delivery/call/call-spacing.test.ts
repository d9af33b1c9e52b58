import { describe, expect, test } from 'vitest'
import { callSpacingMs, createCallSpacing } from '../../../src/delivery/call/call-spacing.ts'
import { deliveryDefaults } from '../../../src/outbox/outbox.ts'
import type { DeliverySettings } from '../../../src/outbox/outbox.ts'

const paceOf = (settings: Partial<DeliverySettings> = {}) =>
  createCallSpacing({ ...deliveryDefaults, ...settings })
const few = { records: 3, bytes: 300 }
const full = { records: 500, bytes: 50_000 }
const large = { records: 6, bytes: 6_000_000 }

describe('the spacing of calls', () => {
  test('lets the first call after a rest start at once', () => {
    const spacing = paceOf()
    expect(spacing.delayMs(1_000, few)).toBe(0)
    spacing.started(1_000)
    expect(spacing.delayMs(1_000 + callSpacingMs, few)).toBe(0)
  })

  test('spaces calls that are not full, and starts full ones at once', () => {
    const spacing = paceOf()
    spacing.started(1_000)
    expect(spacing.delayMs(1_001, few)).toBe(callSpacingMs - 1)
    expect(spacing.delayMs(1_001, full)).toBe(0)
    expect(spacing.delayMs(1_001, large)).toBe(0)
  })

  test('waits for the period from the first record on, unless the call is full', () => {
    const batching = { ...deliveryDefaults.batching, periodMs: 200 }
    const spacing = paceOf({ batching })
    expect(spacing.delayMs(1_000, few)).toBe(200)
    expect(spacing.delayMs(1_150, few)).toBe(50)
    expect(spacing.delayMs(1_150, full)).toBe(0)
    expect(spacing.delayMs(1_200, few)).toBe(0)
    spacing.started(1_200)
    expect(spacing.delayMs(1_300, few)).toBe(200)
  })

  test.each([
    ['strict order: what is ready says little', paceOf({ ordering: 'strict' })],
    ['a role that allows one record a call', paceOf()],
  ])('does not space %s', (_, spacing) => {
    spacing.oneRecordPerCall()
    spacing.started(1_000)
    expect(spacing.delayMs(1_000, few)).toBe(0)
    expect(spacing.recordsMax()).toBe(1)
  })
})
