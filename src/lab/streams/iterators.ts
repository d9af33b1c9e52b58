import { ServiceError, invalidArgument } from '../wire/service-error.ts'
import type { Shard, Stream } from './stream.ts'
import type { Tokens } from '../wire/tokens.ts'

/** A position in a shard: the ordinal of the record that is read next. */
export interface ShardIterator {
  readonly kind: 'shardIterator'
  readonly streamName: string
  readonly streamCreatedMs: number
  readonly shardNumber: number
  readonly ordinal: number
}

/** An iterator can be used for five minutes (API Reference, GetShardIterator). */
const iteratorLifetimeMs = 300_000

export function sealIterator(
  tokens: Tokens,
  at: { stream: Stream; shard: Shard; ordinal: number },
): string {
  const iterator: ShardIterator = {
    kind: 'shardIterator',
    streamName: at.stream.name,
    streamCreatedMs: at.stream.createdMs,
    shardNumber: at.shard.number,
    ordinal: at.ordinal,
  }
  return tokens.seal(iterator)
}

/**
 * Opens an iterator.
 * @throws ServiceError InvalidArgumentException for one that this server did not make,
 *   ExpiredIteratorException
 */
export function openIterator(tokens: Tokens, sealed: string): ShardIterator {
  const { content, ageMs = 0 } = tokens.open(sealed) ?? {}
  if (!isIterator(content)) throw invalidArgument('Invalid ShardIterator.')
  if (ageMs <= iteratorLifetimeMs) return content
  throw new ServiceError(
    'ExpiredIteratorException',
    `Iterator expired. It was made ${ageMs} ms ago and can be used for ${iteratorLifetimeMs} ms.`,
  )
}

function isIterator(content: unknown): content is ShardIterator {
  return (
    typeof content === 'object' &&
    content !== null &&
    'kind' in content &&
    content.kind === 'shardIterator'
  )
}
