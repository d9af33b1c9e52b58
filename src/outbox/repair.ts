/**
 * `sluice outbox`: looks at the outbox of a data folder that no engine uses.
 */
import { mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import { flushFolder } from '../storage/durable-file.ts'
import { shownProperties } from '../storage/stored-properties.ts'
import { createMetrics } from '../telemetry/telemetry.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { openOutbox } from './outbox.ts'
import { createQuarantine } from '../storage/quarantine.ts'
import { decodeDeadLetter } from './store/dead-letter-codec.ts'
import { openOutboxStore, outboxFolderName } from './store/outbox-store.ts'
import type { Changes } from './store/outbox-store.ts'
import { salvageOutbox } from './store/salvage.ts'
import type { SalvageResult, SalvagedRow } from './store/salvage.ts'
import { decodeRecord, decodeSource } from './store/record-codec.ts'
import { noDestinationId, readKey } from './store/record-key.ts'

/** What `verify` found. */
interface Verified extends SalvageResult {
  readonly records: number
  readonly deadLetters: number
}

/** @throws SluiceError DataFolderUnusable (rejects) */
export async function verifyOutbox(directory: string): Promise<Verified> {
  const count = { records: 0, letters: 0, destinations: 0, counts: 0, ledger: 0, state: 0 }
  const result = await salvageOutbox(directory, {
    onRow(row) {
      if (!isMessage(row)) count[row.table] += 1
    },
    onDamaged: () => {},
  })
  return { ...result, records: count.records, deadLetters: count.letters }
}

/**
 * Writes each record and each dead letter that can be read as a line of JSON, and each damaged row
 * as it was found.
 *
 * @throws SluiceError DataFolderUnusable (rejects)
 */
export async function exportOutbox(
  directory: string,
  write: (line: string) => void,
): Promise<SalvageResult> {
  const destinations = new Map<number, unknown>()
  const keep = ({ table, key, value }: SalvagedRow) => {
    if (table !== 'destinations') return
    destinations.set(key.readUInt32BE(0), JSON.parse(value.toString('utf8')))
  }
  // Their rows may be found behind those of records, where no page leads to them.
  await salvageOutbox(directory, { onRow: keep, onDamaged: () => {} })
  return salvageOutbox(directory, {
    onRow(row) {
      if (isMessage(row)) return
      if (row.table === 'records') write(JSON.stringify(recordLine(row, destinations)))
      if (row.table === 'letters') write(JSON.stringify(letterLine(row, destinations)))
    },
    onDamaged({ table, key, value }) {
      const bytes = { key: key.toString('hex'), value: value.toString('base64') }
      write(JSON.stringify({ kind: 'damaged', table, ...bytes }))
    },
  })
}

/** What records share is written with each of them. */
const isMessage = ({ table, key }: SalvagedRow): boolean =>
  table === 'records' && readKey(key, 0)[0] === noDestinationId

function recordLine(row: SalvagedRow, destinations: ReadonlyMap<number, unknown>) {
  const { key, value, message } = row
  const [destinationId, sequence] = readKey(key, 0)
  const destination = destinations.get(destinationId)
  return { kind: 'record', sequence, ...contentsOf(value, destination, message?.()) }
}

function letterLine({ key, value }: SalvagedRow, destinations: ReadonlyMap<number, unknown>) {
  const { record, destinationId, ...letter } = decodeDeadLetter(value)
  const id = String(key.readBigUInt64BE(0))
  const contents = contentsOf(record, destinations.get(destinationId))
  return { kind: 'deadLetter', id, ...letter, ...contents }
}

function contentsOf(value: Buffer, destination: unknown, message?: Buffer) {
  const { data, acceptedAtMs, ...record } = decodeRecord(value, message)
  const { payload, mqtt5, ...source } = decodeSource(value, message)
  return {
    acceptedAt: new Date(acceptedAtMs).toISOString(),
    ...record,
    dataBase64: data.toString('base64'),
    source: {
      ...source,
      mqtt5: mqtt5 && shownProperties(mqtt5),
      payloadBase64: payload.toString('base64'),
    },
    destination,
  }
}

interface Repaired extends SalvageResult {
  readonly records: number
  readonly deadLetters: number
  /** Where the damaged file is kept. Absent: there was nothing to repair. */
  readonly keptAs?: string | undefined
}

interface RepairDependencies {
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Copies all that can be read into a new file, which takes the place of the damaged one. The
 * damaged file is kept beside it, and damaged rows go to the quarantine.
 *
 * @throws SluiceError DataFolderUnusable, OutboxWriteFailed (rejects): the file is as it was
 */
export async function repairOutbox(
  directory: string,
  { clock, logger }: RepairDependencies,
): Promise<Repaired> {
  const verified = await verifyOutbox(directory)
  if (verified.faultCount + verified.damagedRows === 0) return verified
  const draft = path.join(directory, 'repair')
  await rm(draft, { recursive: true, force: true })
  await mkdir(draft, { mode: 0o700 })
  await copyInto(draft, directory, clock)
  // Opening it counts anew what it holds.
  const outbox = await openOutbox({ directory: draft, clock, logger, metrics: createMetrics() })
  const { records } = outbox.size()
  const deadLetters = outbox.deadLetters.size().records
  await outbox.close()
  const keptAs = `${verified.file}.damaged-${clock.wallMs()}`
  await rename(verified.file, keptAs)
  await rename(path.join(draft, outboxFolderName, 'data.mdb'), verified.file)
  await rm(path.join(directory, outboxFolderName, 'lock.mdb'), { force: true })
  await flushFolder(path.join(directory, outboxFolderName))
  await rm(draft, { recursive: true, force: true })
  return { ...verified, records, deadLetters, keptAs }
}

/** Of one transaction. */
const batchRowsMax = 2_000
const batchBytesMax = 16 * 1024 * 1024

async function copyInto(draft: string, directory: string, clock: Clock): Promise<void> {
  const store = await openOutboxStore(draft)
  const quarantine = createQuarantine(directory, clock, outboxFolderName)
  let writes: Promise<void> = Promise.resolve()
  let batch = newBatch()
  /** One after the other. The walk goes on meanwhile, and waits for them at its next turn. */
  const after = (work: () => Promise<void>) => {
    writes = writes.then(work)
    writes.catch(() => undefined)
  }
  const flush = () => {
    const { changes } = batch
    batch = newBatch()
    after(() => store.write(changes))
  }
  try {
    await salvageOutbox(directory, {
      onRow(row) {
        batch.add(row)
        if (batch.isFull()) flush()
      },
      onDamaged: (row) => after(() => quarantine.keep([row])),
      onTurn: () => writes,
    })
    flush()
    await writes
  } finally {
    await writes.catch(() => undefined)
    await store.close()
  }
}

function newBatch() {
  const puts: { destination: { id: number }; record: { sequence: number; stored: Buffer } }[] = []
  const deadLetters: { id: number; value: Buffer }[] = []
  const destinations: { id: number; json: string }[] = []
  const ledger: { key: Buffer; value: Buffer }[] = []
  let lastSequence: number | undefined
  let rows = 0
  let bytes = 0
  const changes = (): Changes => ({
    puts,
    deadLetters,
    destinations,
    ledger,
    lastSequence,
    destinationRemovals: [],
    removals: [],
    deadLetterRemovals: [],
    counts: [],
    ledgerRemovals: [],
  })
  return {
    get changes() {
      return changes()
    },
    isFull: () => rows >= batchRowsMax || bytes >= batchBytesMax,
    add({ table, key: given, value: view }: SalvagedRow): void {
      const key = Buffer.from(given)
      const value = Buffer.from(view)
      rows += 1
      bytes += value.length
      if (table === 'records') {
        const [id, sequence] = readKey(key, 0)
        puts.push({ destination: { id }, record: { sequence, stored: value } })
      } else if (table === 'letters') {
        deadLetters.push({ id: Number(key.readBigUInt64BE(0)), value })
      } else if (table === 'destinations') {
        destinations.push({ id: key.readUInt32BE(0), json: value.toString('utf8') })
      } else if (table === 'ledger') ledger.push({ key, value })
      else if (table === 'state' && value.length === 8) {
        lastSequence = Number(value.readBigUInt64BE(0))
      } else if (table === 'state') {
        const id = key.readUInt32BE(key.length - 4)
        destinations.push({ id, json: value.toString('utf8') })
      }
    },
  }
}
