import type { Latency } from './messages.ts'

/**
 * Counts of microseconds in buckets that grow by 1/32 from each to the next power of two: a fixed
 * 1,400 numbers, and every figure within 3 %.
 */
export interface Histogram {
  add(microseconds: number): void
  reset(): void
  latency(): Latency | undefined
}

const perPower = 32
const powers = 44

export function createHistogram(): Histogram {
  const counts = new Float64Array(perPower * powers)
  let total = 0
  let max = 0

  function percentile(share: number): number {
    let left = total * share
    for (const [index, count] of counts.entries()) {
      left -= count
      if (left <= 0) return valueOf(index)
    }
    return max
  }

  return {
    add(microseconds) {
      const index = indexOf(Math.max(1, microseconds))
      counts[index] = (counts[index] ?? 0) + 1
      total++
      if (microseconds > max) max = microseconds
    },
    reset() {
      counts.fill(0)
      total = 0
      max = 0
    },
    latency: () => (total === 0 ? undefined : { p50: percentile(0.5), p99: percentile(0.99), max }),
  }
}

function indexOf(value: number): number {
  const power = Math.floor(Math.log2(value))
  const within = Math.floor((value / 2 ** power - 1) * perPower)
  return Math.min(power, powers - 1) * perPower + within
}

const valueOf = (index: number): number =>
  2 ** Math.floor(index / perPower) * (1 + (index % perPower) / perPower)
