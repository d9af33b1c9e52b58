import { createBoundedMap } from './bounded-map.ts'

/**
 * Token buckets, one for each key: a window's worth of tokens may be taken at once, after which each
 * comes back as its time is over. A bucket is kept as the one time at which it is full again: the
 * further off, the emptier it is.
 *
 * Memory is bounded: of too many keys the one that was taken from longest ago is forgotten.
 */
interface TokenBuckets {
  /** @returns milliseconds until there is a token for the key; 0: there is one now */
  waitMs(key: string, nowMs: number): number
  /** Takes a token, also where there is none: a bucket does not get emptier than empty. */
  take(key: string, nowMs: number): void
  /** Puts a token back that was taken while there was one. */
  giveBack(key: string, nowMs: number): void
}

interface TokenBucketsOptions {
  /** Of each bucket. */
  readonly tokens: number
  /** What it takes to fill an empty one. */
  readonly windowMs: number
  readonly keysMax: number
}

/** What sums of times may be off by: the last token of a bucket is not to fail by it. */
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
