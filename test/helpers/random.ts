/** Whole numbers from 0 to below `below`, the same series for the same seed. */
export type Random = (below: number) => number

/**
 * One of many series of a seed, each as unlike the others as another seed: what one of them gives
 * does not depend on how much was taken from another.
 */
export function createRandom(seed: number, series = 0): Random {
  // Mulberry32; the series is spread over all bits first.
  let state = (seed ^ Math.imul(series + 1, 0x9e37_79b1)) >>> 0
  return (below) => {
    state = (state + 0x6d2b_79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** @throws RangeError: there is nothing to choose from */
export function oneOf<Value>(values: readonly Value[], random: Random): Value {
  if (values.length === 0) throw new RangeError('nothing to choose from')
  return values[random(values.length)] as Value
}

export function bytesOf(length: number, random: Random): Buffer {
  const bytes = Buffer.alloc(length)
  for (let index = 0; index < length; index++) bytes[index] = random(256)
  return bytes
}
