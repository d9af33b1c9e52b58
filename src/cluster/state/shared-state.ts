import { SluiceError } from '../../base/errors.ts'

/**
 * What all nodes of a cluster share: values under keys, in one store for all of them.
 *
 * Invariants:
 * - Every change of any key has a revision of its own, and revisions rise in the order in which the
 *   changes were made. A deletion is a change, too.
 * - A value is written only over the revision that its writer names: of two writers of one
 *   revision, one is refused.
 *
 * Every method rejects with a SluiceError ServiceUnavailableException when the store cannot be
 * asked, and a change was not made then. A write rejects with AnswerLost when it may have been
 * made. `state-view.ts` hides that; the rooms use it and not this.
 */
export interface SharedState {
  /** Undefined when there is no value. */
  get(key: string): Promise<StateEntry | undefined>
  /** @returns the revision; undefined when the key has a value */
  create(key: string, value: Uint8Array): Promise<number | undefined>
  /** @returns the new revision; undefined when the key has another revision, or no value */
  put(key: string, value: Uint8Array, revision: number): Promise<number | undefined>
  /** @returns false when the key has another revision */
  delete(key: string, revision: number): Promise<boolean>
  /** The revision of the last change of any key; 0 before the first. */
  lastRevision(): Promise<number>
  /**
   * Tells all entries, and then each change in order. After a gap it begins again. It never throws,
   * and goes on until it is stopped.
   *
   * @returns stops it
   */
  watch(watcher: StateWatcher): () => void
}

export interface StateEntry {
  readonly key: string
  readonly value: Buffer
  readonly revision: number
  /** When the value was written, in epoch milliseconds. */
  readonly writtenMs: number
}

/** Told by a watch, in this order: `begin`, entries and deletions, `present`, and further ones. */
export interface StateWatcher {
  /** All entries follow: those that are not told until `present` are not there any more. */
  readonly begin: () => void
  readonly entry: (entry: StateEntry) => void
  readonly deleted: (key: string, revision: number) => void
  /** Everything up to this revision has been told. */
  readonly present: (revision: number) => void
  /** The store cannot be reached; the watch goes on by itself. */
  readonly lost: (reason: string) => void
  /** The store is reached again: what was missed follows, or `begin`. */
  readonly found: () => void
}

/** A write whose answer did not come: it may have been made. */
export class AnswerLost extends Error {
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.name = 'AnswerLost'
  }
}

/** Bytes of one value: NATS takes messages of 1 MiB by default, with their headers. */
export const stateValueBytesMax = 960 * 1_024
/** Characters of a key: each character of a name of 128 may take 12. */
const keyCharactersMax = 2_048

/** @throws SluiceError ServiceUnavailableException */
export function stateUnavailable(reason: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'ServiceUnavailableException',
    `the state of the cluster cannot be read or changed now: ${reason}; what is in force stays`,
    { cause },
  )
}

/**
 * The key of a name: `<kind>.<name>`, for kinds of letters and names of any characters. Keys of
 * NATS allow letters, digits and `-/_=.`, so other characters stand as `=` and two hexadecimal
 * digits for each byte of UTF-8.
 *
 * @throws SluiceError InvalidRequestException: the name is empty or too long
 */
export function keyOf(kind: string, name: string): string {
  const key = `${kind}.${keyPartOf(name)}`
  // A half of a surrogate pair would not come back.
  const isText = !/\p{Cs}/u.test(name)
  if (name !== '' && key.length <= keyCharactersMax && isText) return key
  throw new SluiceError(
    'InvalidRequestException',
    `${JSON.stringify(name.slice(0, 40))} cannot be a name in the state of a cluster`,
  )
}

/** The reverse; undefined for a key that `keyOf` would not make. */
export function nameOfKey(kind: string, key: string): string | undefined {
  if (!key.startsWith(`${kind}.`) || key.length > keyCharactersMax) return undefined
  const text = key.slice(kind.length + 1)
  if (!/^(?:[\w-]|=[\da-f]{2})+$/.test(text)) return undefined
  try {
    const name = decodeURIComponent(text.replaceAll('=', '%'))
    return keyOf(kind, name) === key ? name : undefined
  } catch {
    return undefined
  }
}

/** A text as keys may hold it. */
export const keyPartOf = (name: string): string => name.replaceAll(/[^\w-]/gu, encode)

const encode = (character: string) =>
  Array.from(Buffer.from(character), (byte) => `=${byte.toString(16).padStart(2, '0')}`).join('')
