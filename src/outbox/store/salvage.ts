/**
 * Reads the outbox's file as far as it can be read, without opening it.
 */
import { stat } from 'node:fs/promises'
import path from 'node:path'
import { SluiceError } from '../../base/errors.ts'
import { ifPresent } from '../../storage/file-reads.ts'
import { textOfFault, walkLmdbFile } from '../../storage/lmdb-file.ts'
import type { LmdbRow } from '../../storage/lmdb-tree.ts'
import { outboxFolderName } from './outbox-store.ts'
import { isTableName, valueOf } from './outbox-scan.ts'
import type { DamagedRow, TableName } from './outbox-scan.ts'
import { hasChecksum } from './record-codec.ts'
import { isSealed } from '../../storage/sealed-row.ts'

/** A row that is whole, with its value without the checksum. */
export interface SalvagedRow extends DamagedRow {
  /** No page leads to it: it may be a row of the past. */
  readonly isLost: boolean
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
      if (value) onRow({ table, key, value, isLost: false })
      else {
        damagedRows += 1
        onDamaged({ table, key: Buffer.from(key), value: Buffer.from(stored) })
      }
    },
    onLostRow(row) {
      const found = lostRow(row)
      if (found) onRow(found)
    },
  })
  return { file, faults, faultCount, damagedRows }
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
