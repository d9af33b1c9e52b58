import {
  mergeOpenShards,
  scaleShards,
  scaleToEqualRanges,
  splitOpenShard,
  warmShardCount,
} from './resharding.ts'
import type { ReshardingContext } from './resharding.ts'
import { encryptionOf } from './stream.ts'
import type { Shard, Stream, StreamMode } from './stream.ts'

/**
 * A change that a stream gets when its time as UPDATING is over. It is plain JSON: with a disk it
 * is written before the call is answered, so that a lab that ends meanwhile applies it at its next
 * start.
 */
export type StreamChange =
  | { readonly kind: 'mode'; readonly mode: StreamMode; readonly warmMiBps?: number | undefined }
  | { readonly kind: 'warmThroughput'; readonly warmMiBps: number }
  | { readonly kind: 'retention'; readonly hours: number }
  | { readonly kind: 'maxRecordSize'; readonly kib: number }
  /** Without a key, new records are not encrypted. */
  | { readonly kind: 'encryption'; readonly keyId?: string | undefined }
  | { readonly kind: 'metrics'; readonly names: readonly string[] }
  /** The second of the two shards begins at the hash key. */
  | { readonly kind: 'split'; readonly shardNumber: number; readonly hashKey: string }
  /** The range of the second shard follows that of the first. */
  | { readonly kind: 'merge'; readonly firstNumber: number; readonly secondNumber: number }
  | { readonly kind: 'scale'; readonly shardCount: number }

/** How many changes between encrypted and not encrypted a shard remembers. */
const encryptionChangesMax = 100

export function applyChange(context: ReshardingContext, change: StreamChange): void {
  const { stream } = context
  switch (change.kind) {
    case 'mode':
      stream.mode = change.mode
      if (change.mode === 'PROVISIONED') stream.distribution = 'USER_PARTITION_KEY'
      setWarmThroughput(context, change.warmMiBps)
      return
    case 'warmThroughput':
      setWarmThroughput(context, change.warmMiBps)
      return
    case 'retention':
      stream.retentionHours = change.hours
      return
    case 'maxRecordSize':
      stream.maxRecordSizeInKiB = change.kib
      return
    case 'encryption':
      setEncryption(stream, change.keyId)
      return
    case 'metrics':
      stream.shardLevelMetrics = change.names
      return
    case 'split': {
      const shard = openShard(stream, change.shardNumber)
      splitOpenShard(context, shard, BigInt(change.hashKey))
      return
    }
    case 'merge': {
      const first = openShard(stream, change.firstNumber)
      mergeOpenShards(context, first, openShard(stream, change.secondNumber))
      return
    }
    case 'scale':
      scaleShards(context, change.shardCount)
  }
}

/** A shard takes 1 MiB a second, so the stream gets as many shards. */
function setWarmThroughput(context: ReshardingContext, warmMiBps: number | undefined): void {
  context.stream.warmMiBps = warmMiBps
  if (warmMiBps !== undefined) scaleToEqualRanges(context, warmShardCount(warmMiBps))
}

/** The shards of a stream do not change while a change of it waits. */
function openShard({ name, openShards }: Stream, shardNumber: number): Shard {
  const shard = openShards.find(({ number }) => number === shardNumber)
  if (!shard) throw new Error(`stream ${name} has no open shard ${shardNumber}`)
  return shard
}

function setEncryption(stream: Stream, keyId: string | undefined): void {
  const before = encryptionOf(stream)
  stream.encryptionKeyId = keyId
  if (encryptionOf(stream) === before) return
  for (const { log, encryptions } of stream.openShards) {
    encryptions.push({ fromOrdinal: log.nextOrdinal(), isEncrypted: keyId !== undefined })
    if (encryptions.length > encryptionChangesMax) encryptions.shift()
  }
}
