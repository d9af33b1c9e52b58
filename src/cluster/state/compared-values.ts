/**
 * Values that all nodes of a cluster share, each written only over the revision that its writer has
 * read. Nodes have no copy of them: each read asks the store.
 *
 * Every method rejects with a SluiceError ServiceUnavailableException when the store cannot be
 * asked; a write rejects with AnswerLost when it may have been made.
 */
export interface ComparedValues {
  /** Undefined when the key never had a value, or what a removal left has gone. */
  get(key: string): Promise<ComparedValue | undefined>
  /**
   * @param before the revision that is replaced; 0 when there must be none
   * @param removedForSeconds the value is what a removal leaves for so long: lists pass over it
   * @returns the new revision; undefined when there is another one
   */
  put(
    key: string,
    value: Uint8Array,
    before: number,
    removedForSeconds?: number,
  ): Promise<number | undefined>
  /**
   * The keys below a prefix, in no order; not those that were removed.
   *
   * @param prefix whole parts of a key, such as `lamp`; undefined: all keys
   */
  keys(prefix?: string): Promise<readonly string[]>
  /** Of all keys, with those that were removed. */
  count(): Promise<number>
}

interface ComparedValue {
  readonly value: Buffer
  readonly revision: number
}
