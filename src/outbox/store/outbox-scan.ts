/**
 * What the rows of the outbox's file say, counted while the file is read before it is opened. The
 * counters on disk are held against it, so that a row that is lost is seen.
 */
import { SluiceError } from '../../base/errors.ts'
import { unreachable } from '../../base/unreachable.ts'
import type { LmdbVisitor } from '../../storage/lmdb-file.ts'
import { decodeDeadLetter } from './dead-letter-codec.ts'
import { actionOf, isMessageOf, isWholeRecord, referenceOf } from './record-codec.ts'
import { noDestinationId, readKey, recordKeyBytes } from './record-key.ts'
import { openRow } from '../../storage/sealed-row.ts'

const tableNames = Object.freeze([
  'records',
  'letters',
  'destinations',
  'counts',
  'ledger',
  'state',
] as const)
export type TableName = (typeof tableNames)[number]

export const isTableName = (name: string | undefined): name is TableName =>
  tableNames.some((each) => each === name)

/** A row that is not as it was written. */
export interface DamagedRow {
  readonly table: TableName
  readonly key: Buffer
  readonly value: Buffer
}

/** Records and dead letters, with their bytes on disk. */
type HeldCounts = [records: number, bytes: number, deadLetters: number, letterBytes: number]

/** A message that records share, and how many records of each destination do. */
interface CountedMessage {
  readonly bytes: number
  /** By destination id. */
  readonly records: Map<number, number>
}

/** What the outbox holds of the records of one action. */
export interface ActionCounts {
  readonly ruleName: string
  readonly actionIndex: number
  queued: number
  deadLettered: number
}

export interface OutboxScan {
  /** By destination id. */
  readonly held: ReadonlyMap<number, HeldCounts>
  readonly actions: Iterable<ActionCounts>
  /** By their sequences. */
  readonly messages: ReadonlyMap<number, CountedMessage>
  /** Messages that no record shares: the records that did are damaged. */
  readonly unshared: ReadonlyMap<number, Pick<CountedMessage, 'bytes'>>
  /** Rows of the tables of counters, by their keys in hexadecimal, and JSON of destinations. */
  readonly counts: ReadonlyMap<string, Buffer>
  readonly ledger: ReadonlyMap<string, Buffer>
  readonly destinations: ReadonlyMap<number, string>
  /** Each destination is written twice: one damaged row must not hold up all its records. */
  readonly destinationCopies: ReadonlyMap<number, string>
  /** The highest sequence of records and dead letters, and the one that is noted. */
  readonly highestSequence: number
  readonly lastSequence: number | undefined
  readonly damaged: readonly DamagedRow[]
}

/** Beyond these bounds a damaged file is not opened, but left to `sluice outbox repair`. */
const damagedRowsMax = 10_000
const damagedBytesMax = 64 * 1024 * 1024

const copyPrefix = 'destination'
export const lastSequenceKey = Buffer.from('lastSequence')

/** The key of the second row of a destination, in the table `state`. */
export function copyKey(destinationId: number): Buffer {
  const id = Buffer.alloc(4)
  id.writeUInt32BE(destinationId)
  return Buffer.concat([Buffer.from(copyPrefix), id])
}

/**
 * The value of a row without its checksum.
 *
 * @returns undefined when the row is not as it was written
 */
export function valueOf(table: TableName, key: Buffer, stored: Buffer): Buffer | undefined {
  switch (table) {
    case 'records':
      return key.length === recordKeyBytes && isWholeRecord(key, stored) ? stored : undefined
    case 'letters':
      return openLetter(key, stored)
    case 'destinations':
      return openRow(key, stored, isJson)
    case 'counts':
      return openRow(key, stored, ({ length }) => length === 4 * 8)
    case 'ledger':
      return openRow(key, stored, ({ length }) => length === 6 * 8)
    case 'state':
      return openRow(key, stored, ({ length }) => length === 8)
    default:
      return unreachable(table)
  }
}

function openLetter(key: Buffer, stored: Buffer): Buffer | undefined {
  const value = openRow(key, stored, () => true)
  try {
    if (value && key.length === 8) actionOf(decodeDeadLetter(value).record)
    return value
  } catch {
    return undefined
  }
}

function isJson(text: Buffer): boolean {
  try {
    return typeof JSON.parse(text.toString('utf8')) === 'object'
  } catch {
    return false
  }
}

/** @returns the visitor of the file, and what it has found */
export function createOutboxScan() {
  const damaged: DamagedRow[] = []
  let damagedBytes = 0
  const counted = createCounts()

  const onRow: LmdbVisitor['onRow'] = (name, { key, value }) => {
    const table = name
    if (!isTableName(table)) throw unknownTable(name)
    const whole = valueOf(table, key, value)
    if (whole !== undefined && counted.take(table, key, whole)) return
    damaged.push({ table, key: Buffer.from(key), value: Buffer.from(value) })
    damagedBytes += value.length
    if (damaged.length > damagedRowsMax || damagedBytes > damagedBytesMax) throw tooMany()
  }
  return { onRow, result: (): OutboxScan => ({ ...counted.result(), damaged }) }
}

function createCounts() {
  const held = new Map<number, HeldCounts>()
  const actions = createActionCounts()
  const rows = { counts: new Map<string, Buffer>(), ledger: new Map<string, Buffer>() }
  const destinations = new Map<number, string>()
  const destinationCopies = new Map<number, string>()
  const messages = createMessageCounts()
  let highestSequence = 0
  let lastSequence: number | undefined

  function heldOf(destinationId: number): HeldCounts {
    const known = held.get(destinationId) ?? [0, 0, 0, 0]
    held.set(destinationId, known)
    return known
  }

  function takeState(key: Buffer, value: Buffer): void {
    if (key.equals(lastSequenceKey)) lastSequence = Number(value.readBigUInt64BE(0))
    else destinationCopies.set(key.readUInt32BE(key.length - 4), value.toString('utf8'))
  }

  /** Those of the destination 0 come first: they are the messages that others share. */
  function takeRecord(key: Buffer, value: Buffer): boolean {
    const [destinationId, sequence] = readKey(key, 0)
    if (!messages.hasMessageOf(destinationId, value)) return false
    const counts = heldOf(destinationId)
    counts[1] += value.length
    highestSequence = Math.max(highestSequence, sequence)
    if (destinationId === noDestinationId) {
      messages.add(sequence, value)
    } else {
      counts[0] += 1
      actions.of(value).queued += 1
    }
    return true
  }

  /** @returns false for a record whose message is not there */
  function take(table: TableName, key: Buffer, value: Buffer): boolean {
    if (table === 'records') return takeRecord(key, value)
    if (table === 'letters') takeLetter(key, value)
    else if (table === 'destinations') {
      destinations.set(key.readUInt32BE(0), value.toString('utf8'))
    } else if (table === 'state') takeState(key, value)
    else rows[table].set(key.toString('hex'), Buffer.from(value))
    return true
  }

  function takeLetter(key: Buffer, value: Buffer): void {
    const { destinationId, record } = decodeDeadLetter(value)
    const counts = heldOf(destinationId)
    counts[2] += 1
    counts[3] += value.length
    actions.of(record).deadLettered += 1
    highestSequence = Math.max(highestSequence, Number(key.readBigUInt64BE(0)))
  }

  return {
    take,
    result: () => ({
      held,
      actions: actions.all(),
      ...messages.result(),
      ...rows,
      destinations,
      destinationCopies,
      highestSequence,
      lastSequence,
    }),
  }
}

function createActionCounts() {
  const byRule = new Map<string, Map<number, ActionCounts>>()
  return {
    of(value: Buffer): ActionCounts {
      const { ruleName, actionIndex } = actionOf(value)
      const ofRule = byRule.get(ruleName) ?? new Map<number, ActionCounts>()
      byRule.set(ruleName, ofRule)
      const known = ofRule.get(actionIndex) ?? { ruleName, actionIndex, queued: 0, deadLettered: 0 }
      ofRule.set(actionIndex, known)
      return known
    },
    all: () => [...byRule.values()].flatMap((ofRule) => [...ofRule.values()]),
  }
}

/** Counts the records that share each message. */
function createMessageCounts() {
  const messages = new Map<number, CountedMessage>()
  return {
    add(id: number, { length: bytes }: Buffer): void {
      messages.set(id, { bytes, records: new Map() })
    },
    /** @returns false for a record whose message is not there */
    hasMessageOf(destinationId: number, value: Buffer): boolean {
      const reference = referenceOf(value)
      if (reference === undefined) return true
      const message = messages.get(reference.id)
      if (!message || !isMessageOf(value, message.bytes)) return false
      message.records.set(destinationId, (message.records.get(destinationId) ?? 0) + 1)
      return true
    },
    result() {
      const all = [...messages]
      return {
        messages: new Map(all.filter(([, { records }]) => records.size > 0)),
        unshared: new Map(all.filter(([, { records }]) => records.size === 0)),
      }
    },
  }
}

function unknownTable(name: string | undefined): SluiceError {
  const what = name === undefined ? 'a row that belongs to no table' : `an unknown table, ${name}`
  return new SluiceError('DataFolderDamaged', `The outbox has ${what}`)
}

function tooMany(): SluiceError {
  const message =
    'So much of the outbox is damaged that it is not opened: ' +
    'run `sluice outbox repair` with the data folder'
  return new SluiceError('DataFolderDamaged', message)
}
