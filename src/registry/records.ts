import type { Static, TSchema } from 'typebox'

/** The records of one kind of resource: files of a folder, or the state that nodes share. */
export interface Records<Stored> {
  /**
   * @param before the record that is replaced, as it was given out; undefined for a new one
   * @throws SluiceError InternalFailureException, ServiceUnavailableException (rejects): the old
   *   record then stands; LostRace: another node was first
   */
  write(record: Stored, before: object | undefined): Promise<void>
  /** @throws as `write` */
  remove(name: string, before: object): Promise<void>
  /**
   * The listener hears of all records at once, and then of each change before `write` resolves.
   * There is one listener.
   */
  follow(listener: RecordListener<Stored>): void
  /**
   * Resolves when the listener has heard of all changes that were made before, by any node.
   *
   * @throws SluiceError ServiceUnavailableException (rejects)
   */
  readonly caughtUp: () => Promise<void>
}

/** @param record undefined when it was removed */
export type RecordListener<Stored> = (name: string, record: Stored | undefined) => void

/** What records look like. */
export interface RecordForm<Schema extends TSchema> {
  readonly schema: Schema
  readonly nameOf: (record: Static<Schema>) => string
  /** What a record is, for the log: `a thing`. */
  readonly what: string
}

/** Opens the records of a kind. It rejects with what the system throws. */
export type OpenRecords = <Schema extends TSchema>(
  kind: 'things' | 'certificates',
  form: RecordForm<Schema>,
) => Promise<Records<Static<Schema>>>

/** Another node changed the record that a change began with: the change can be made again. */
export class LostRace extends Error {
  constructor(name: string) {
    super(`${name} was changed by another node meanwhile`)
    this.name = 'LostRace'
  }
}
