/**
 * Makes the outbox whole before it is used: rows that are damaged go to the quarantine, and what
 * is counted on disk is made equal to what is there. A healthy outbox is not written to.
 */
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import { decodeCounters, encodeCounters } from './books/counters.ts'
import { ledgerKey } from './books/ledger.ts'
import type { Quarantine } from '../storage/quarantine.ts'
import { destinationKey } from './store/outbox-store.ts'
import type { OutboxStore, RecordRemovals, RowWrite } from './store/outbox-store.ts'
import type { ActionCounts, OutboxScan } from './store/outbox-scan.ts'
import { noDestinationId } from './store/record-key.ts'

interface HealDependencies {
  readonly store: Pick<OutboxStore, 'write'>
  readonly quarantine: Quarantine
  readonly logger: Pick<Logger, 'error'>
  readonly metrics: Pick<Metrics, 'outboxRowsQuarantined'>
}

const heldCount = 4
const ledgerCount = 6
/** Above every sequence that a lost note may have named: no sequence is given twice. */
const sequenceMargin = 2 ** 32

/**
 * @throws SluiceError OutboxWriteFailed, DataFolderUnusable (rejects)
 */
export async function healOutbox(
  { store, quarantine, logger, metrics }: HealDependencies,
  scan: OutboxScan,
): Promise<void> {
  const { damaged } = scan
  if (damaged.length > 0) await quarantine.keep(damaged)
  const counts = wrongCounts(scan)
  const ledger = wrongLedger(scan)
  const destinations = missingDestinations(scan)
  const lastSequence = rightSequence(scan)
  const removals = messageRemovals(scan)
  const isRight = damaged.length + counts.length + ledger.length + destinations.length === 0
  if (!isRight || lastSequence !== undefined || removals.length > 0) {
    const withoutMessages = [...counts, ...countsWithoutMessages(scan)]
    const healed = { damaged, removals, ledger, destinations, lastSequence }
    await store.write({ ...noChanges, ...healed, counts: withoutMessages })
  }
  if (damaged.length > 0) {
    for (const { table } of damaged) metrics.outboxRowsQuarantined.inc({ table })
    const { file } = quarantine
    logger.error(
      { file, rows: damaged.length, tables: [...new Set(damaged.map(({ table }) => table))] },
      'damaged rows of the outbox are in quarantine: their records are counted as dropped',
    )
  } else if (counts.length + ledger.length > 0) {
    logger.error(
      { destinations: counts.length, actions: ledger.length },
      'counters of the outbox did not add up: they were counted anew',
    )
  }
  reportUnreachable(scan, logger)
}

const noChanges = {
  destinationRemovals: [],
  puts: [],
  deadLetters: [],
  deadLetterRemovals: [],
  ledgerRemovals: [],
}

/** The messages that no record shares. Nothing of them is lost that has not been told. */
function messageRemovals({ unshared }: OutboxScan): RecordRemovals[] {
  if (unshared.size === 0) return []
  return [{ destination: { id: noDestinationId }, sequences: [...unshared.keys()] }]
}

/** The counters of the destination 0 once these messages are removed. */
function countsWithoutMessages({ unshared, held }: OutboxScan): RowWrite[] {
  if (unshared.size === 0) return []
  const [records = 0, bytes = 0, ...letters] = held.get(noDestinationId) ?? []
  const gone = [...unshared.values()].reduce((sum, message) => sum + message.bytes, 0)
  const value = encodeCounters([records, bytes - gone, ...letters], [])
  return [{ key: destinationKey(noDestinationId), value }]
}

/** A destination whose row or its copy is not there, written anew from the other one. */
function missingDestinations({ destinations, destinationCopies }: OutboxScan) {
  const known = new Map([...destinationCopies, ...destinations])
  return Array.from(known, ([id, json]) => ({ id, json })).filter(
    ({ id }) => !destinations.has(id) || !destinationCopies.has(id),
  )
}

/** Nothing says where records of a lost destination go: they stay on disk. */
function reportUnreachable(
  { held, destinations, destinationCopies }: OutboxScan,
  logger: Pick<Logger, 'error'>,
): void {
  let records = 0
  for (const [id, [queued, , letters]] of held) {
    if (id !== noDestinationId && !destinations.has(id) && !destinationCopies.has(id))
      records += queued + letters
  }
  if (records === 0) return
  logger.error(
    { records },
    'records of the outbox have lost their destination: `sluice outbox export` prints them',
  )
}

function wrongCounts({ held, counts, destinations, destinationCopies }: OutboxScan): RowWrite[] {
  const ids = new Set([...destinations.keys(), ...destinationCopies.keys()])
  const none = destinationKey(noDestinationId).toString('hex')
  if (held.has(noDestinationId) || counts.has(none)) ids.add(noDestinationId)
  return [...ids].flatMap((id) => {
    const key = destinationKey(id)
    const row = counts.get(key.toString('hex'))
    const right = held.get(id) ?? []
    const numbers = Array.from({ length: heldCount }, (_, index) => right[index] ?? 0)
    const isRight = row ? isEqual(decodeCounters(row, heldCount), numbers) : !held.has(id)
    return isRight ? [] : [{ key, value: encodeCounters(numbers, []) }]
  })
}

/**
 * The rows whose `queued` or `deadLettered` is not what is there. Records that are gone without a
 * move count as dropped, and accepted is what adds up.
 */
function wrongLedger({ actions, ledger }: OutboxScan): RowWrite[] {
  const left = new Map(ledger)
  const wrong: RowWrite[] = []
  function check(key: Buffer, there: Pick<ActionCounts, 'queued' | 'deadLettered'>): void {
    const row = left.get(key.toString('hex'))
    left.delete(key.toString('hex'))
    const noted = row ? decodeCounters(row, ledgerCount) : []
    const [, delivered = 0, queued = 0, deadLettered = 0, dropped = 0, handedOver = 0] = noted
    if (queued === there.queued && deadLettered === there.deadLettered) return
    const gone = Math.max(0, queued + deadLettered - there.queued - there.deadLettered)
    const held = there.queued + there.deadLettered
    const numbers = [
      delivered + held + dropped + gone,
      delivered,
      there.queued,
      there.deadLettered,
      dropped + gone,
      handedOver,
    ]
    wrong.push({ key, value: encodeCounters(numbers, []) })
  }
  for (const action of actions) check(ledgerKey(action), action)
  for (const key of left.keys()) check(Buffer.from(key, 'hex'), { queued: 0, deadLettered: 0 })
  return wrong
}

/** @returns undefined when what is noted is right */
function rightSequence(scan: OutboxScan): number | undefined {
  const { lastSequence, highestSequence, damaged } = scan
  const isLost = lastSequence === undefined && damaged.some(({ table }) => table === 'state')
  if (isLost) return highestSequence + sequenceMargin
  return (lastSequence ?? 0) < highestSequence ? highestSequence : undefined
}

const isEqual = (left: readonly number[], right: readonly number[]): boolean =>
  left.every((number, index) => number === right[index])
