/** MurmurHash2 with the seed of Kafka's clients [MurmurHash, Austin Appleby, public domain]. */
const multiplier = 0x5b_d1_e9_95
const shift = 24
const seed = 0x97_47_b2_8c

/**
 * The partition of a key, as Kafka's own clients choose it (DefaultPartitioner of Apache Kafka), so
 * that records of one key are in one partition whichever client wrote them.
 *
 * @param count of the topic's partitions, 1 or more
 */
export function partitionOfKey(key: Buffer, count: number): number {
  return (murmur2(key) & 0x7f_ff_ff_ff) % count
}

/** @returns a 32-bit integer with a sign */
function murmur2(bytes: Buffer): number {
  const whole = bytes.length - (bytes.length % 4)
  let hash = seed ^ bytes.length
  for (let at = 0; at < whole; at += 4) {
    let word = Math.imul(bytes.readInt32LE(at), multiplier)
    word ^= word >>> shift
    hash = Math.imul(hash, multiplier) ^ Math.imul(word, multiplier)
  }
  if (whole < bytes.length) {
    for (let at = bytes.length - 1; at >= whole; at--) {
      hash ^= (bytes[at] ?? 0) << (8 * (at - whole))
    }
    hash = Math.imul(hash, multiplier)
  }
  hash ^= hash >>> 13
  hash = Math.imul(hash, multiplier)
  return hash ^ (hash >>> 15)
}
