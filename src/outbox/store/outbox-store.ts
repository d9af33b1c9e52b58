/**
 * The outbox on disk: one LMDB environment, `<data folder>/outbox/`, with these tables.
 *
 *     records       [destination id, sequence] -> value (record-key.ts, record-layout.ts). Those of
 *                   the destination 0 are messages that other records share.
 *     letters       id -> value (both in dead-letter-codec.ts)
 *     destinations  u32 destination id -> JSON of the destination
 *     counts        u32 destination id -> its counters (destinations.ts)
 *     ledger        [rule name, action index] -> its counters (ledger.ts)
 *     state         "lastSequence" -> u64, the highest sequence ever given;
 *                   "destination" and u32 destination id -> a copy of its row
 *
 * Invariants:
 * - One `write` at a time, and one transaction for each: all of it is on disk, or nothing.
 * - A `write` that resolved is durable; one that rejected left no trace. Hence `overlappingSync`
 *   is off: with it on, a failed flush leaves the transaction visible, and `flushed` never settles.
 *   As the next write waits for the flush anyway, overlapping would gain nothing.
 * - Every record's destination has its row, written no later than the record.
 * - A message that records share is written with them, and removed with the last of them.
 * - The counters change in the transaction that moves the records that they count: the counters on
 *   disk always add up, and opening the outbox counts nothing.
 * - Every row has a checksum over its key and its value: a record within its value, the other rows
 *   in front of it (sealed-row.ts). A row that does not fit its checksum is not read.
 * - A delivered record is removed for good: only the ledger still counts it.
 */
import path from 'node:path'
import type { Database, RootDatabase } from 'lmdb'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { deadLetterKeyBytes } from './dead-letter-codec.ts'
import {
  committed,
  dataFileName,
  openEnvironment,
  openFileReserve,
} from '../../storage/lmdb-environment.ts'
import type { EnvironmentCheck } from '../../storage/lmdb-environment.ts'
import { copyKey, lastSequenceKey, valueOf } from './outbox-scan.ts'
import type { DamagedRow, TableName } from './outbox-scan.ts'
import { isMessageOf, isWholeRecord, referenceOf, sealRecord } from './record-codec.ts'
import type { MessageReference } from './record-codec.ts'
import { noDestinationId, readKey, recordKeyBytes, writeKey } from './record-key.ts'
import type { RecordKey } from './record-key.ts'
import type { SharedMessage } from './queued-record.ts'
import { sealRow } from '../../storage/sealed-row.ts'

/** The folder of the environment, relative to the data folder. */
export const outboxFolderName = 'outbox'

/** The position of a record in the store. */
export interface RecordPosition {
  readonly destinationId: number
  readonly sequence: number
}

interface StoredEntry extends RecordPosition {
  readonly value: Buffer
  /** What the record shares with others. */
  readonly message: SharedMessage | undefined
}

/** A record that is to be written. */
interface RecordWrite {
  readonly destination: { readonly id: number }
  readonly record: { readonly sequence: number; readonly stored: Buffer }
}

/** Records of one destination that are to be removed. */
export interface RecordRemovals {
  readonly destination: { readonly id: number }
  readonly sequences: readonly number[]
}

/** A row of the destinations table. */
export interface DestinationRow {
  readonly id: number
  readonly json: string
}

/** A row of counters, as bytes. */
export interface RowWrite {
  readonly key: Buffer
  readonly value: Buffer
}

export interface StoredDeadLetter {
  readonly id: number
  readonly value: Buffer
}

/** What one transaction changes. Within a table, removals come first. */
export interface Changes {
  readonly destinations: readonly DestinationRow[]
  readonly destinationRemovals: readonly number[]
  readonly puts: readonly RecordWrite[]
  readonly removals: readonly RecordRemovals[]
  readonly deadLetters: readonly StoredDeadLetter[]
  readonly deadLetterRemovals: readonly number[]
  readonly counts: readonly RowWrite[]
  readonly ledger: readonly RowWrite[]
  readonly ledgerRemovals: readonly Buffer[]
  /** Absent: no sequence was given since the last write. */
  readonly lastSequence?: number | undefined
  /** Rows that are damaged, to be removed before anything else. */
  readonly damaged?: readonly Pick<DamagedRow, 'table' | 'key'>[] | undefined
}

export interface OutboxStore {
  /** Resolves when durable; rejects with nothing changed. One call at a time. */
  write(changes: Changes): Promise<void>
  /** The records of a destination after a sequence, in order; each value is a copy. */
  entriesAfter(destinationId: number, afterSequence: number): Iterable<StoredEntry>
  /** The dead letters after an id, in order. */
  deadLettersAfter(id: number): Iterable<StoredDeadLetter>
  deadLetter(id: number): StoredDeadLetter | undefined
  destinationRows(): readonly DestinationRow[]
  countRows(): readonly RowWrite[]
  ledgerRows(): readonly RowWrite[]
  lastSequence(): number
  close(): Promise<void>
}

/** What is known of the file of the outbox: see `EnvironmentCheck`. */
export type OutboxFile = Pick<EnvironmentCheck, 'wasMade' | 'beginsAnew' | 'isCache'>

interface OutboxStoreOptions extends OutboxFile, Pick<EnvironmentCheck, 'onRow'> {
  /**
   * Called with a row that was found damaged while it was read. It is left out of what is read.
   */
  readonly onDamaged?: ((row: DamagedRow) => void) | undefined
}

/**
 * Opens the store in `directory`, and creates it when it is absent.
 *
 * @throws SluiceError DataFolderDamaged, DataFolderUnusable (rejects)
 */
export async function openOutboxStore(
  directory: string,
  options: OutboxStoreOptions = {},
): Promise<OutboxStore> {
  const { onDamaged = () => {} } = options
  const tables = await openTables(directory, options)
  const valueIn = (table: TableName, key: Buffer, stored: Buffer): Buffer | undefined => {
    const value = valueOf(table, key, stored)
    if (value === undefined) onDamaged({ table, key, value: stored })
    return value
  }
  const rowsIn = (name: 'destinations' | 'counts' | 'ledger') =>
    Array.from(tables[name].getRange({})).flatMap(({ key, value: stored }) => {
      const value = valueIn(name, key, stored)
      return value ? [{ key, value }] : []
    })
  const { environment, records, letters, state } = tables
  const reserve = await openFileReserve(
    path.join(directory, outboxFolderName, dataFileName),
    () => environment.getStats() as { readonly pageSize: number; readonly lastPageNumber: number },
  )
  const readMessage = createMessageReader(records, onDamaged)
  return {
    async write(changes: Changes) {
      const growing = changes.puts.length > 0 ? reserve.ensure(bytesOf(changes.puts)) : undefined
      if (growing !== undefined) await growing
      await committed(environment.batch(() => writeInto(tables, changes)))
    },
    entriesAfter: (destinationId: number, afterSequence: number) =>
      entriesOf(
        { records, readMessage, onDamaged },
        {
          start: [destinationId, afterSequence + 1],
          end: [destinationId + 1, 0],
        },
      ),
    *deadLettersAfter(id: number) {
      for (const { key, value: stored } of letters.getRange({ start: deadLetterKey(id + 1) })) {
        const value = valueIn('letters', key, stored)
        if (value) yield { id: deadLetterIdOf(key), value }
      }
    },
    deadLetter(id: number) {
      const key = deadLetterKey(id)
      const stored = letters.get(key)
      const value = stored && valueIn('letters', key, stored)
      return value && { id, value }
    },
    destinationRows: () =>
      rowsIn('destinations').map(({ key, value }) => ({
        id: key.readUInt32BE(0),
        json: value.toString('utf8'),
      })),
    countRows: () => rowsIn('counts'),
    ledgerRows: () => rowsIn('ledger'),
    lastSequence() {
      const stored = state.get(lastSequenceKey)
      const value = stored && valueIn('state', lastSequenceKey, stored)
      return value === undefined ? 0 : deadLetterIdOf(value)
    },
    async close() {
      await environment.close()
      await reserve.close()
    },
  }
}

/** Rows of counters and of the ledger, which are small, are within the margin of the reserve. */
function bytesOf(puts: Changes['puts']): number {
  let bytes = 0
  for (const { record } of puts) bytes += record.stored.length + recordKeyBytes
  return bytes
}

const put = (table: Table, key: Buffer, value: Buffer): void =>
  void table.put(key, sealRow(key, value))

/** Called within `batch`, whose promise stands for those of the single operations. */
function writeInto(tables: Tables, changes: Changes): void {
  const { records, letters, destinations, counts, ledger, state } = tables
  for (const { table, key } of changes.damaged ?? []) {
    void (table === 'records' ? tables.rawRecords : tables[table]).remove(key)
  }
  for (const id of changes.destinationRemovals) {
    void destinations.remove(destinationKey(id))
    void state.remove(copyKey(id))
    void counts.remove(destinationKey(id))
  }
  for (const row of changes.ledgerRemovals) void ledger.remove(row)
  for (const { id, json } of changes.destinations) {
    put(destinations, destinationKey(id), Buffer.from(json))
    put(state, copyKey(id), Buffer.from(json))
  }
  for (const { destination, record } of changes.puts) {
    const { sequence, stored } = record
    sealRecord(stored, destination.id, sequence)
    void records.put([destination.id, sequence], stored)
  }
  for (const { destination, sequences } of changes.removals) {
    for (const sequence of sequences) void records.remove([destination.id, sequence])
  }
  for (const { id, value } of changes.deadLetters) put(letters, deadLetterKey(id), value)
  for (const id of changes.deadLetterRemovals) void letters.remove(deadLetterKey(id))
  for (const row of changes.counts) put(counts, row.key, row.value)
  for (const row of changes.ledger) put(ledger, row.key, row.value)
  if (changes.lastSequence !== undefined) {
    put(state, lastSequenceKey, deadLetterKey(changes.lastSequence))
  }
}

/**
 * How keys and values of the records table are copied to and from the library's buffers. The
 * library's `binary` allocates memory for each key and value that it reads, which costs more than
 * copying, and a backlog is read at hundreds of thousands of records a second. Here a key becomes
 * two numbers, and a value is copied into Node's pool of small buffers.
 */
const recordEncoding = {
  keyEncoder: { writeKey, readKey },
  encoder: {
    encode: (value: Buffer): Buffer => value,
    decode: (source: Buffer, length: number): Buffer => Buffer.from(source.subarray(0, length)),
  },
}

type Table = Database<Buffer, Buffer>
type RecordTable = Database<Buffer, RecordKey>

interface Tables {
  readonly environment: RootDatabase<Buffer, Buffer>
  readonly records: RecordTable
  /** The same table with its keys as bytes. */
  readonly rawRecords: Table
  readonly letters: Table
  readonly destinations: Table
  readonly counts: Table
  readonly ledger: Table
  readonly state: Table
}

async function openTables(
  directory: string,
  { wasMade, beginsAnew, isCache, onRow }: OutboxStoreOptions,
): Promise<Tables> {
  const folder = path.join(directory, outboxFolderName)
  const binary = { encoding: 'binary', keyEncoding: 'binary' } as const
  const wayOut = {
    damaged: `run \`sluice outbox verify ${directory}\` to see what is lost, and \`repair\` to keep the rest`,
    lost:
      'put it back, or start once with --begin-anew to begin with an empty outbox, ' +
      'without the records that it held',
  }
  try {
    const environment = await openEnvironment<Buffer, Buffer>(folder, binary, {
      wasMade,
      beginsAnew,
      isCache,
      onRow,
      wayOut,
    })
    const table = (name: string): Table => environment.openDB({ name, ...binary })
    return {
      environment,
      records: environment.openDB<Buffer, RecordKey>({ name: 'records', ...recordEncoding }),
      rawRecords: table('records'),
      letters: table('letters'),
      destinations: table('destinations'),
      counts: table('counts'),
      ledger: table('ledger'),
      state: table('state'),
    }
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    const message = `${folder} cannot be opened: ${messageOf(thrown)}`
    throw new SluiceError('DataFolderUnusable', message, { cause: thrown })
  }
}

interface EntryReader {
  readonly records: RecordTable
  readonly readMessage: MessageReader
  readonly onDamaged: (row: DamagedRow) => void
}

/** Records that are damaged, or whose message is, are left out. */
function* entriesOf(
  { records, readMessage, onDamaged }: EntryReader,
  range: { start: RecordKey; end: RecordKey },
): Generator<StoredEntry> {
  const bytes = Buffer.alloc(recordKeyBytes)
  for (const { key, value } of records.getRange(range)) {
    const [destinationId, sequence] = key
    writeKey(key, bytes, 0)
    const reference = isWholeRecord(bytes, value) ? referenceOf(value) : damagedRecord
    const message = reference && readMessage(reference, value)
    if (reference !== undefined && message === undefined) {
      onDamaged({ table: 'records', key: Buffer.from(bytes), value })
    } else yield { destinationId, sequence, value, message }
  }
}

/** Stands for the reference of a record that is damaged: there is no such message. */
const damagedRecord: MessageReference = { id: 0, bytes: 0, dataStart: 0 }

/** Undefined for a message that is not there or damaged. */
type MessageReader = (reference: MessageReference, value: Buffer) => SharedMessage | undefined

/** The records of a message follow each other: the message that was read last is kept. */
function createMessageReader(
  records: RecordTable,
  onDamaged: EntryReader['onDamaged'],
): MessageReader {
  const key = Buffer.alloc(recordKeyBytes)
  let last: SharedMessage | undefined

  function read(id: number): SharedMessage | undefined {
    const value = records.get([noDestinationId, id])
    if (value === undefined) return undefined
    writeKey([noDestinationId, id], key, 0)
    if (isWholeRecord(key, value)) return { id, value }
    onDamaged({ table: 'records', key: Buffer.from(key), value })
    return undefined
  }

  return ({ id }, value) => {
    if (id === 0) return undefined
    if (last?.id !== id) last = read(id)
    return last && isMessageOf(value, last.value.length) ? last : undefined
  }
}

/** The key of a destination in its tables. */
export function destinationKey(id: number): Buffer {
  const key = Buffer.alloc(4)
  key.writeUInt32BE(id)
  return key
}

/** Ids and sequences are at most 2^53 - 1. */
function deadLetterKey(id: number): Buffer {
  const key = Buffer.alloc(deadLetterKeyBytes)
  key.writeBigUInt64BE(BigInt(id))
  return key
}

function deadLetterIdOf(key: Buffer): number {
  return Number(key.readBigUInt64BE(0))
}
