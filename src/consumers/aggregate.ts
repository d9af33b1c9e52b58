/**
 * Records that the Kinesis Producer Library packed into one ("KPL Aggregated Record Format").
 *
 * Format: four magic bytes F3 89 9A C2, a protobuf message, and the MD5 of that message:
 *
 *     AggregatedRecord { repeated string partition_key_table     = 1;
 *                        repeated string explicit_hash_key_table = 2;
 *                        repeated Record records                 = 3; }
 *     Record           { required uint64 partition_key_index     = 1;
 *                        optional uint64 explicit_hash_key_index = 2;
 *                        required bytes  data                    = 3;
 *                        repeated Tag    tags                    = 4; }
 *
 * Invariants:
 * - A record that does not have exactly this format is returned unchanged: bytes that merely look
 *   like an aggregate are application data.
 * - The records of one aggregate share its sequence number and have subsequence numbers from 0 on.
 * - An aggregate with a record whose hash key is outside the shard is left out as a whole. After a
 *   reshard an aggregate may lie in a shard that does not own all of its keys; the producer notices
 *   that it came into another shard than intended, and writes all of its records again. The Kinesis
 *   Client Library reads aggregates in the same way.
 */
import { createHash } from 'node:crypto'
import protobuf from 'protobufjs/minimal.js'
import { hashKeyOf } from '../base/hash-key.ts'
import type { KinesisRecord, ShardDescription } from './shard-reader.ts'

/** A record as its producer made it. */
export interface UserRecord extends KinesisRecord {
  /** The position of the record in its aggregate; undefined when it was not aggregated. */
  readonly subSequenceNumber?: number | undefined
  /** Decimal; only aggregated records carry it. */
  readonly explicitHashKey?: string | undefined
}

const magic = Buffer.from([0xf3, 0x89, 0x9a, 0xc2])
const digestBytes = 16

/**
 * Opens a record.
 *
 * @param shard the shard that it was read from: its range decides whether the records belong there
 * @returns the records of the aggregate, in order; none when one of them is outside the shard; the
 *   record itself when it is not an aggregate
 */
export function openAggregate(
  record: KinesisRecord,
  shard: Pick<ShardDescription, 'startingHashKey' | 'endingHashKey'>,
): readonly UserRecord[] {
  const message = messageIn(record.data)
  const parts = message && readParts(message)
  if (parts === undefined) return [record]
  const isOutside = parts.some(({ partitionKey, explicitHashKey }) => {
    const hashKey =
      explicitHashKey === undefined ? hashKeyOf(partitionKey) : BigInt(explicitHashKey)
    return hashKey < shard.startingHashKey || hashKey > shard.endingHashKey
  })
  if (isOutside) return []
  return parts.map(({ partitionKey, explicitHashKey, data }, subSequenceNumber) => ({
    ...record,
    partitionKey,
    data,
    subSequenceNumber,
    explicitHashKey,
  }))
}

function messageIn(data: Buffer): Buffer | undefined {
  if (data.length < magic.length + digestBytes) return undefined
  if (!data.subarray(0, magic.length).equals(magic)) return undefined
  const message = data.subarray(magic.length, -digestBytes)
  const digest = createHash('md5').update(message).digest()
  return digest.equals(data.subarray(-digestBytes)) ? message : undefined
}

interface Part {
  readonly partitionKey: string
  readonly explicitHashKey?: string | undefined
  readonly data: Buffer
}

interface IndexedPart {
  partitionKeyIndex?: number
  explicitHashKeyIndex?: number
  data?: Buffer
}

/** @returns undefined for bytes that are not an AggregatedRecord, or refer to missing keys */
function readParts(message: Buffer): readonly Part[] | undefined {
  const partitionKeys: string[] = []
  const explicitHashKeys: string[] = []
  const indexed: IndexedPart[] = []
  try {
    const reader = protobuf.Reader.create(message)
    while (reader.pos < reader.len) {
      const tag = reader.uint32()
      if (tag === lengthDelimited(1)) partitionKeys.push(reader.string())
      else if (tag === lengthDelimited(2)) explicitHashKeys.push(reader.string())
      else if (tag === lengthDelimited(3)) indexed.push(readPart(reader.bytes()))
      else reader.skipType(tag & 7)
    }
  } catch {
    return undefined
  }
  const parts = indexed.flatMap((part) => partOf(part, partitionKeys, explicitHashKeys) ?? [])
  return parts.length === indexed.length ? parts : undefined
}

function readPart(bytes: Uint8Array): IndexedPart {
  const reader = protobuf.Reader.create(bytes)
  const part: IndexedPart = {}
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === varint(1)) part.partitionKeyIndex = Number(reader.uint64())
    else if (tag === varint(2)) part.explicitHashKeyIndex = Number(reader.uint64())
    else if (tag === lengthDelimited(3)) part.data = Buffer.from(reader.bytes())
    else reader.skipType(tag & 7)
  }
  return part
}

function partOf(
  { partitionKeyIndex, explicitHashKeyIndex, data }: IndexedPart,
  partitionKeys: readonly string[],
  explicitHashKeys: readonly string[],
): Part | undefined {
  const partitionKey = partitionKeys[partitionKeyIndex ?? -1]
  if (partitionKey === undefined || data === undefined) return undefined
  if (explicitHashKeyIndex === undefined) return { partitionKey, data }
  const explicitHashKey = explicitHashKeys[explicitHashKeyIndex]
  if (explicitHashKey === undefined || !/^\d{1,39}$/.test(explicitHashKey)) return undefined
  return { partitionKey, explicitHashKey, data }
}

/** Tags of protobuf: the number of the field, and its wire type. */
const varint = (field: number) => field << 3
const lengthDelimited = (field: number) => (field << 3) | 2
