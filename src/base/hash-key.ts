import { createHash } from 'node:crypto'

/** The first value past the hash key space of a stream: 2^128. */
export const hashKeySpace = 1n << 128n

/**
 * The hash key that Kinesis gives a record: the MD5 of the partition key's UTF-8 bytes, as a
 * 128-bit big-endian unsigned integer (Kinesis API Reference, PutRecord).
 */
export function hashKeyOf(partitionKey: string): bigint {
  return BigInt(`0x${createHash('md5').update(partitionKey, 'utf8').digest('hex')}`)
}
