/**
 * Sequence numbers of the lab.
 *
 * Format: 56 decimal digits, the length of AWS's, in readable fields:
 *
 *     49 | shard created, ms (13) | ordinal in the shard (16) | arrival, ms (13) | shard (12)
 *
 * Invariants: within a shard the numbers strictly increase, because the ordinal does; they have one
 * length and no leading zero, so that their order as text and as integers is the same; and they
 * name their shard, so that a number of another shard, stream or former stream is detected. Ordinal
 * 0 is the start of the shard itself; the first record has 1. Clients treat the numbers as opaque.
 */
interface SequenceNumberParts {
  readonly shardCreatedMs: number
  readonly ordinal: number
  readonly arrivalMs: number
  readonly shardNumber: number
}

const prefix = '49'
const format = /^49(\d{13})(\d{16})(\d{13})(\d{12})$/

/** The pattern of a sequence number in the API (API Reference, PutRecord). */
export const sequenceNumberPattern = '0|([1-9]\\d{0,128})'

/**
 * Makes the function that formats the sequence numbers of one shard. It runs for every record, so
 * the fields that never change are padded only once.
 */
export function sequenceNumbersOf(
  shardCreatedMs: number,
  shardNumber: number,
): (ordinal: number, arrivalMs: number) => string {
  const head = prefix + digits(shardCreatedMs, 13)
  const tail = digits(shardNumber, 12)
  return (ordinal, arrivalMs) => head + digits(ordinal, 16) + digits(arrivalMs, 13) + tail
}

/** @returns the fields of a sequence number of the lab; undefined for any other text */
export function parseSequenceNumber(text: string): SequenceNumberParts | undefined {
  const match = format.exec(text)
  if (!match) return undefined
  const [, created, ordinal, arrival, shard] = match
  return {
    shardCreatedMs: Number(created),
    ordinal: Number(ordinal),
    arrivalMs: Number(arrival),
    shardNumber: Number(shard),
  }
}

const digits = (value: number, length: number) => String(value).padStart(length, '0')
