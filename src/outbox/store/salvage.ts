/**
 * Reads the outbox's file as far as it can be read, without opening it.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import { SluiceError } from '../../base/errors.ts'
import { ifPresent } from '../../storage/file-reads.ts'
import { textOfFault, walkLmdbFile } from '../../storage/lmdb-file.ts'
import type { LmdbRow } from '../../storage/lmdb-tree.ts'
import { outboxFolderName } from './outbox-store.ts'
import { isTableName, valueOf } from './outbox-scan.ts'
import type { DamagedRow, TableName } from './outbox-scan.ts'
import { isMessageOf, isWholeRecord, referenceOf } from './record-codec.ts'
import { noDestinationId, readKey, recordKeyBytes } from './record-key.ts'
import { hasChecksum } from './record-layout.ts'
import { isSealed } from '../../storage/sealed-row.ts'

/** A row that is whole, with its value without the checksum. */
export interface SalvagedRow extends DamagedRow {
  /** No page leads to it: it may be a row of the past. */
  readonly isLost: boolean
  /** Reads the message that the record shares with others. */
  readonly message?: (() => Buffer) | undefined
}

interface SalvageVisitor {
  /** The row is good until it returns. */
  readonly onRow: (row: SalvagedRow) => void
  readonly onDamaged: (row: DamagedRow) => void
  /** Waited for now and then, so that rows do not pile up. */
  readonly onTurn?: (() => Promise<unknown>) | undefined
}

export interface SalvageResult {
  readonly file: string
  /** What is wrong with the pages of the file: the first ones, and how many there are. */
  readonly faults: readonly string[]
  readonly faultCount: number
  readonly damagedRows: number
}

const faultsMax = 20

/**
 * @param directory the data folder, locked by this process
 * @throws SluiceError DataFolderUnusable (rejects): there is no file
 */
export async function salvageOutbox(
  directory: string,
  { onRow, onDamaged, onTurn }: SalvageVisitor,
): Promise<SalvageResult> {
  const file = path.join(directory, outboxFolderName, 'data.mdb')
  const bytes = (await ifPresent(stat(file)))?.size ?? 0
  if (bytes === 0) throw new SluiceError('DataFolderUnusable', `${file} is lost or empty`)
  const messages = await findMessages(file)
  try {
    return await salvage(file, messages, { onRow, onDamaged, onTurn })
  } finally {
    messages.close()
  }
}

async function salvage(
  file: string,
  messages: Messages,
  { onRow, onDamaged, onTurn }: SalvageVisitor,
): Promise<SalvageResult> {
  const faults: string[] = []
  let faultCount = 0
  let damagedRows = 0
  const fault = (text: string) => {
    faultCount += 1
    if (faults.length < faultsMax) faults.push(text)
  }
  await walkLmdbFile(file, {
    onTurn,
    onFault: (what) => fault(textOfFault(what)),
    onRow(table, row) {
      if (!isTableName(table)) {
        fault(`there is a row of an unknown table, ${table ?? 'without a name'}`)
        return
      }
      const { key, value: stored } = row
      const value = isTrusted(table, row) ? valueOf(table, key, stored) : undefined
      const whole = value && messages.add({ table, key, value, isLost: false })
      if (whole) onRow(whole)
      else {
        damagedRows += 1
        onDamaged({ table, key: Buffer.from(key), value: Buffer.from(stored) })
      }
    },
    onLostRow(row) {
      const found = lostRow(row)
      const whole = found && messages.add(found)
      if (whole) onRow(whole)
    },
  })
  return { file, faults, faultCount, damagedRows }
}

interface Messages {
  /** The row with its message; undefined where that is not there. */
  add(row: SalvagedRow): SalvagedRow | undefined
  close(): void
}

/**
 * Where the messages that records share are in the file. Rows that no page leads to come last: the
 * message of a record may stand behind it.
 */
async function findMessages(file: string): Promise<Messages> {
  const places = new Map<number, { readonly at: number; readonly bytes: number }>()
  const onRow = (row: LmdbRow, isLost: boolean): void => {
    const { key, value, valueAt: at } = row
    if (key.length !== recordKeyBytes || !hasChecksum(value)) return
    const [destinationId, id] = readKey(key, 0)
    const isMessage = destinationId === noDestinationId && isWholeRecord(key, value)
    if (isMessage && !(isLost && places.has(id))) places.set(id, { at, bytes: value.length })
  }
  await walkLmdbFile(file, {
    onFault: () => {},
    onRow: (table, row) => (table === 'records' ? onRow(row, false) : undefined),
    onLostRow: (row) => onRow(row, true),
  })
  const descriptor = openSync(file, 'r')
  let last: { readonly id: number; readonly value: Buffer } | undefined

  function read(id: number): Buffer {
    if (last?.id === id) return last.value
    const { at, bytes } = places.get(id) ?? { at: 0, bytes: 0 }
    const value = Buffer.alloc(bytes)
    readSync(descriptor, value, 0, bytes, at)
    last = { id, value }
    return value
  }

  return {
    add(row) {
      const reference = row.table === 'records' ? referenceOf(row.value) : undefined
      if (!reference) return row
      const place = places.get(reference.id)
      if (!place || !isMessageOf(row.value, place.bytes)) return undefined
      return { ...row, message: () => read(reference.id) }
    },
    close: () => closeSync(descriptor),
  }
}

/** Rows without a checksum are as they were written only where their page has no fault. */
const isTrusted = (table: TableName, { value, isDoubtful }: LmdbRow): boolean =>
  !isDoubtful || isChecked(table, value)

const isChecked = (table: TableName, value: Buffer): boolean =>
  table === 'records' ? hasChecksum(value) : isSealed(value)

/** The tables of rows that no page leads to are told by their keys. Counters are made anew. */
function lostRow(row: LmdbRow): SalvagedRow | undefined {
  const { key, value: stored } = row
  const table = lostTables[key.length]
  if (table === undefined || !isChecked(table, stored)) return undefined
  const value = valueOf(table, key, stored)
  // Counters of destinations have the same keys as destinations.
  if (!value || (table === 'destinations' && value[0] !== 0x7b)) return undefined
  return { table, key, value, isLost: true }
}

const lostTables: Readonly<Record<number, TableName>> = {
  4: 'destinations',
  8: 'letters',
  12: 'records',
}
