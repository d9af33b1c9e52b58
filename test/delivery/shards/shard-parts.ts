import { hashKeyOf, hashKeySpace } from '../../../src/base/hash-key.ts'
import type { Ordering } from '../../../src/outbox/outbox.ts'
import { destination, newRecordFor } from '../../outbox/outbox-parts.ts'
import type { Delivery } from '../producer-parts.ts'

export const idOfShard = (number: number) => `shardId-${String(number).padStart(12, '0')}`

/** So many partition keys of one of the four shards that a stream of the lab has. */
export function keysOfShard(shard: number, count: number): string[] {
  const keys: string[] = []
  for (let number = 0; keys.length < count; number++) {
    const key = `device-${number}`
    if (Number(hashKeyOf(key) / (hashKeySpace / 4n)) === shard) keys.push(key)
  }
  return keys
}

/** Appends records of each key, a message a generation; the texts are numbers that grow. */
export async function appendTo(
  { outbox }: Pick<Delivery, 'outbox'>,
  keys: readonly string[],
  generations: number,
  ordering: Ordering = 'key',
): Promise<void> {
  const to = destination('stream', { ordering })
  const texts = Array.from({ length: generations }, (_, index) => String(index))
  await Promise.all(
    texts.map((text) => outbox.append(keys.map((key) => newRecordFor(to, key, text)))),
  )
}
