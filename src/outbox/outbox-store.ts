/**
 * The outbox on disk: one LMDB environment, `<data folder>/outbox/`, with two tables.
 *
 *     records       [destination id, sequence] -> value (both in record-codec.ts)
 *     destinations  u32 destination id -> JSON of the destination
 *
 * Invariants:
 * - One `write` at a time, one transaction each: all of it is on disk or nothing.
 * - A `write` that resolved is durable; one that rejected left no trace. Hence `overlappingSync`
 *   is off: with it on, a failed flush leaves the transaction visible, and `flushed` never settles.
 *   As the next write waits for the flush anyway, overlapping would gain nothing.
 * - Every record's destination has its row, written no later than the record.
 * - A settled record is removed for good: nothing on disk says that it was there.
 */
import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { endianness } from 'node:os'
import path from 'node:path'
import { open } from 'lmdb'
import type { Database, RootDatabase } from 'lmdb'
import { SluiceError, messageOf } from '../errors.ts'
import { flushFolder } from './flush-folder.ts'
import { destinationIdOf, keyBytes, sequenceOf, writeKey } from './record-codec.ts'

const folderName = 'outbox'
const dataFileName = 'data.mdb'
/** Of LMDB's meta page, in the byte order of the machine. */
const magic = 0xbeefc0de
const magicOffset = 24

/** Where a record stands. */
export interface RecordKey {
  readonly destinationId: number
  readonly sequence: number
}

export interface StoredEntry extends RecordKey {
  readonly value: Buffer
}

/** A row of the destinations table. */
export interface DestinationRow {
  readonly id: number
  readonly json: string
}

/** What one transaction changes. */
export interface Changes {
  readonly destinations: readonly DestinationRow[]
  readonly puts: readonly StoredEntry[]
  readonly removals: readonly RecordKey[]
}

export interface OutboxStore {
  /** Resolves when durable; rejects with nothing changed. Never called before the last settled. */
  write(changes: Changes): Promise<void>
  /** The records of a destination after a sequence, in order; each value is a copy. */
  entriesAfter(destinationId: number, afterSequence: number): Iterable<StoredEntry>
  /** Every record, by destination and sequence. */
  entries(): Iterable<StoredEntry>
  destinationRows(): readonly DestinationRow[]
  close(): Promise<void>
}

/**
 * Opens the store in `directory`, making it when it is not there.
 *
 * @throws SluiceError DataFolderUnusable
 */
export function openOutboxStore(directory: string): OutboxStore {
  const folder = path.join(directory, folderName)
  const { environment, records, destinations } = openTables(folder)
  const key = Buffer.alloc(keyBytes)
  return Object.freeze({
    async write(changes: Changes) {
      const committed = environment.batch(() => {
        for (const { id, json } of changes.destinations) {
          void destinations.put(destinationKey(id), Buffer.from(json))
        }
        for (const { destinationId, sequence, value } of changes.puts) {
          void records.put(writeKey(key, destinationId, sequence), value)
        }
        for (const { destinationId, sequence } of changes.removals) {
          void records.remove(writeKey(key, destinationId, sequence))
        }
      })
      await awaitCommit(committed)
    },
    entriesAfter: (destinationId: number, afterSequence: number) =>
      entriesOf(records, {
        start: newKey(destinationId, afterSequence + 1),
        end: newKey(destinationId + 1, 0),
      }),
    entries: () => entriesOf(records, {}),
    destinationRows: () =>
      [...destinations.getRange({})].map(({ key: id, value }) => ({
        id: id.readUInt32BE(0),
        json: value.toString('utf8'),
      })),
    close: () => environment.close(),
  })
}

function openTables(folder: string): {
  readonly environment: RootDatabase<Buffer, Buffer>
  readonly records: Database<Buffer, Buffer>
  readonly destinations: Database<Buffer, Buffer>
} {
  const binary = { encoding: 'binary', keyEncoding: 'binary' } as const
  try {
    refuseForeignFile(path.join(folder, dataFileName))
    const environment = open<Buffer, Buffer>(folder, {
      ...binary,
      overlappingSync: false,
      // Writes are grouped by `batch` alone, which starts at once: no timer in between.
      eventTurnBatching: false,
    })
    const records = environment.openDB({ name: 'records', ...binary })
    const destinations = environment.openDB({ name: 'destinations', ...binary })
    // LMDB flushes what it writes; that its new files have names is for the folders to keep.
    flushFolder(folder)
    flushFolder(path.dirname(folder))
    return { environment, records, destinations }
  } catch (error) {
    throw new SluiceError('DataFolderUnusable', `${folder} cannot be opened: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/**
 * LMDB maps whatever it is given, and a file that is not its own ends the process by a fault of
 * memory. Its files name themselves: a magic number follows the header of the first page.
 */
function refuseForeignFile(file: string): void {
  if (!existsSync(file)) return
  const start = Buffer.alloc(magicOffset + 4)
  const fileDescriptor = openSync(file, 'r')
  try {
    // An empty file is a new one.
    if (readSync(fileDescriptor, start, 0, start.length, 0) === 0) return
  } finally {
    closeSync(fileDescriptor)
  }
  const found =
    endianness() === 'LE' ? start.readUInt32LE(magicOffset) : start.readUInt32BE(magicOffset)
  if (found !== magic) throw new Error(`${file} is not a file of LMDB`)
}

/** `commitError` is a promise that rejects with the true cause: it must be awaited as well. */
async function awaitCommit(committed: Promise<unknown>): Promise<void> {
  try {
    await committed
  } catch (error) {
    const commitError =
      error instanceof Error && 'commitError' in error ? error.commitError : undefined
    // It rejects with the cause, which is thrown in place of the general error.
    await commitError
    throw error
  }
}

function* entriesOf(
  records: Database<Buffer, Buffer>,
  range: { readonly start?: Buffer; readonly end?: Buffer },
): Generator<StoredEntry> {
  for (const { key, value } of records.getRange(range)) {
    yield { destinationId: destinationIdOf(key), sequence: sequenceOf(key), value }
  }
}

function newKey(destinationId: number, sequence: number): Buffer {
  return writeKey(Buffer.alloc(keyBytes), destinationId, sequence)
}

function destinationKey(id: number): Buffer {
  const key = Buffer.alloc(4)
  key.writeUInt32BE(id)
  return key
}
