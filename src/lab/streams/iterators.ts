import type { Clock } from '../../base/clock.ts'
import { ServiceError, invalidArgument } from '../wire/service-error.ts'
import type { Shard, Stream } from './stream.ts'
import type { Tokens } from '../wire/tokens.ts'

/** A place in a shard: the ordinal of the record that is read next, and when it was given out. */
export interface ShardIterator {
  readonly kind: 'shardIterator'
  readonly streamName: string
  readonly streamCreatedMs: number
  readonly shardNumber: number
  readonly ordinal: number
  readonly issuedMs: number
}

/** An iterator can be used for five minutes (API Reference, GetShardIterator). */
export const iteratorLifetimeMs = 300_000

export function sealIterator(
  tokens: Tokens,
  clock: Clock,
  at: { stream: Stream; shard: Shard; ordinal: number },
): string {
  const iterator: ShardIterator = {
    kind: 'shardIterator',
    streamName: at.stream.name,
    streamCreatedMs: at.stream.createdMs,
    shardNumber: at.shard.number,
    ordinal: at.ordinal,
    issuedMs: clock.wallMs(),
  }
  return tokens.seal(iterator)
}

/**
 * What an iterator says, whether or not it has expired.
 * @throws ServiceError InvalidArgumentException for one that this server did not make
 */
export function openIterator(tokens: Tokens, sealed: string): ShardIterator {
  const content = tokens.open(sealed)
  if (isIterator(content)) return content
  throw invalidArgument('Invalid ShardIterator.')
}

/** @throws ServiceError ExpiredIteratorException */
export function refuseExpired(iterator: ShardIterator, clock: Clock): void {
  const ageMs = clock.wallMs() - iterator.issuedMs
  if (ageMs <= iteratorLifetimeMs) return
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
