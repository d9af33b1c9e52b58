import { createBoundedMap } from './bounded-map.ts'

/**
 * Token buckets, one for each key. All tokens of a window may be taken at once; afterwards they
 * come back one by one. A bucket is stored as the time at which it is full again: the later that
 * is, the fewer tokens it has.
 *
 * Memory is bounded: beyond `keysMax` the least recently used key is removed.
 */
interface TokenBuckets {
  /** @returns milliseconds until the key has a token; 0 when it has one now */
  waitMs(key: string, nowMs: number): number
  /** Takes a token. An empty bucket stays empty. */
  take(key: string, nowMs: number): void
  /** Puts a token back that was taken while there was one. */
  giveBack(key: string, nowMs: number): void
}

interface TokenBucketsOptions {
  /** The capacity of each bucket. */
  readonly tokens: number
  /** The time in which an empty bucket fills up. */
  readonly windowMs: number
  readonly keysMax: number
}

/** Tolerates rounding errors of added times, which could withhold the last token of a bucket. */
const roundingMs = 0.5

export function createTokenBuckets({
  tokens,
  windowMs,
  keysMax,
}: TokenBucketsOptions): TokenBuckets {
  const fullAtMs = createBoundedMap<string, number>(keysMax)
  const tokenMs = windowMs / tokens
  const missingMs = (key: string, nowMs: number) =>
    Math.max((fullAtMs.get(key) ?? nowMs) - nowMs, 0)
  return {
    waitMs: (key, nowMs) =>
      Math.max(0, Math.ceil(missingMs(key, nowMs) + tokenMs - windowMs - roundingMs)),
    take(key, nowMs) {
      const missing = Math.min(missingMs(key, nowMs) + tokenMs, windowMs)
      fullAtMs.set(key, nowMs + missing)
    },
    giveBack(key, nowMs) {
      const missing = missingMs(key, nowMs)
      if (missing > 0) fullAtMs.set(key, nowMs + Math.max(0, missing - tokenMs))
    },
  }
}
