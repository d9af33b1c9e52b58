import { expect, test } from 'vitest'
import { createBytesInFlight } from '../../../src/delivery/call/call-slots.ts'

const mebibyte = 1024 * 1024
const limits = { recordsMax: 500, bytesMax: 5 * mebibyte }

test('a destination has 16 MiB in flight, and goes on when a call ends', () => {
  const bytes = createBytesInFlight({ bytes: 0 })
  for (let call = 0; call < 4; call++) {
    expect(bytes.limits(limits)).toBe(limits)
    bytes.started(5 * mebibyte)
  }
  expect(bytes.limits(limits)).toBeUndefined()
  bytes.ended(5 * mebibyte)
  expect(bytes.limits(limits)).toBe(limits)
})

test('beyond 96 MiB of all, a destination without calls in flight sends a small one', () => {
  const total = { bytes: 0 }
  const others = Array.from({ length: 6 }, () => createBytesInFlight(total))
  for (const other of others) other.started(16 * mebibyte)
  const bytes = createBytesInFlight(total)
  expect(bytes.limits(limits)).toEqual({ recordsMax: 500, bytesMax: 64 * 1024 })
  bytes.started(60_000)
  expect(bytes.limits(limits)).toBeUndefined()
  others[0]?.ended(16 * mebibyte)
  expect(bytes.limits(limits)).toBe(limits)
  bytes.ended(60_000)
  for (const other of others.slice(1)) other.ended(16 * mebibyte)
  expect(total.bytes).toBe(0)
})
