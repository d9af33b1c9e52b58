import { createHash } from 'node:crypto'
import type { StateWatcher } from './shared-state.ts'
import { keyOf, keyPartOf } from './shared-state.ts'

/**
 * Values that all nodes of a cluster share, of which the last one written under a key counts.
 *
 * Every method rejects with a SluiceError ServiceUnavailableException when the store cannot be
 * asked, and with AnswerLost when the change may have been made.
 */
export interface LastValues {
  /**
   * @param ttlSeconds after which the value goes; undefined: never
   * @returns its revision; revisions rise in the order in which changes were made
   */
  set(key: string, value: Uint8Array, ttlSeconds?: number): Promise<number>
  /** @returns the revision of the removal, also when there was no value */
  unset(key: string): Promise<number>
  /**
   * Tells all values, and then each change in order. After a gap it begins again. It never throws.
   *
   * @returns stops it
   */
  watch(watcher: StateWatcher): () => void
}

/**
 * How long a removal is told to nodes that were cut off. One that was away for longer has to watch
 * anew, because it would miss removals.
 */
export const removalKeptSeconds = 7 * 86_400

/** Characters of a key: a subject of NATS has room for more. */
const keyCharactersMax = 1_024

/** The key of a name of any length and characters: a long one stands as its digest. */
export function valueKeyOf(kind: string, name: string): string {
  const isText = !/\p{Cs}/u.test(name)
  if (isText && keyPartOf(name).length <= keyCharactersMax) return keyOf(kind, name)
  return `${kind}-digest.${createHash('sha256').update(name).digest('hex')}`
}
