import { describe, expect, test } from 'vitest'
import {
  callSpacingMs,
  createCallSpacing,
  putRecordsDeniedMs,
} from '../../../src/delivery/call/call-spacing.ts'
import { deliveryDefaults } from '../../../src/outbox/outbox.ts'
import type { DeliverySettings } from '../../../src/outbox/outbox.ts'

const spacingOf = (settings: Partial<DeliverySettings> = {}) =>
  createCallSpacing({ ...deliveryDefaults, ...settings })
const few = { records: 3, bytes: 300 }
const full = { records: 500, bytes: 50_000 }
const large = { records: 6, bytes: 6_000_000 }

describe('the spacing of calls', () => {
  test('lets the first call after a rest start at once', () => {
    const spacing = spacingOf()
    expect(spacing.delayMs(1_000, few)).toBe(0)
    spacing.started(1_000)
    expect(spacing.delayMs(1_000 + callSpacingMs, few)).toBe(0)
  })

  test('spaces calls that are not full, and starts full ones at once', () => {
    const spacing = spacingOf()
    spacing.started(1_000)
    expect(spacing.delayMs(1_001, few)).toBe(callSpacingMs - 1)
    expect(spacing.delayMs(1_001, full)).toBe(0)
    expect(spacing.delayMs(1_001, large)).toBe(0)
  })

  test('has one record a call while PutRecords is denied, and tries PutRecords again later', () => {
    const spacing = spacingOf()
    spacing.started(1_000)
    spacing.oneRecordPerCall(1_000)
    expect(spacing.limits().recordsMax).toBe(1)
    spacing.started(1_000 + putRecordsDeniedMs - 1)
    expect(spacing.limits().recordsMax).toBe(1)
    spacing.started(1_000 + putRecordsDeniedMs)
    expect(spacing.limits().recordsMax).toBe(500)
    spacing.oneRecordPerCall(1_000)
    expect(spacing.limits().recordsMax).toBe(1)
  })

  test('waits for the period from the first record on, unless the call is full', () => {
    const batching = { ...deliveryDefaults.batching, periodMs: 200 }
    const spacing = spacingOf({ batching })
    expect(spacing.delayMs(1_000, few)).toBe(200)
    expect(spacing.delayMs(1_150, few)).toBe(50)
    expect(spacing.delayMs(1_150, full)).toBe(0)
    expect(spacing.delayMs(1_200, few)).toBe(0)
    spacing.started(1_200)
    expect(spacing.delayMs(1_300, few)).toBe(200)
  })

  test.each([
    ['strict order: what is ready says little', spacingOf({ ordering: 'strict' })],
    ['a role that allows one record a call', spacingOf()],
  ])('does not space %s', (_, spacing) => {
    spacing.oneRecordPerCall(1_000)
    spacing.started(1_000)
    expect(spacing.delayMs(1_000, few)).toBe(0)
    expect(spacing.limits().recordsMax).toBe(1)
  })
})
