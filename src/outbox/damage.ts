import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { createLimitedLog } from '../telemetry/limited-log.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import type { Destinations } from './books/destinations.ts'
import type { Ledger, LedgerRow } from './books/ledger.ts'
import type { Commits } from './outbox-commits.ts'
import type { PendingRemovals } from './queue-reader.ts'
import type { Room } from './room.ts'
import { createQuarantine } from '../storage/quarantine.ts'
import type { Quarantine } from '../storage/quarantine.ts'
import type { DamagedRow } from './store/outbox-scan.ts'
import { actionOf, isWholeRecord, referenceOf } from './store/record-codec.ts'
import { outboxFolderName } from './store/outbox-store.ts'
import { noDestinationId, readKey } from './store/record-key.ts'

interface DamageDependencies {
  readonly directory: string
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'outboxRowsQuarantined'>
}

interface DamageParts {
  readonly destinations: Destinations
  readonly ledger: Ledger
  readonly pendingRemovals: PendingRemovals
  readonly commits: Commits
  readonly room: Pick<Room, 'roomMade'>
  readonly clock: Clock
}

/** Rows that are remembered, so that each is handled once. Beyond this a start handles them. */
const foundMax = 10_000

/** What becomes of rows that are found damaged while the outbox is in use. */
export interface Damage {
  readonly quarantine: Quarantine
  /** Puts a row in quarantine. A record leaves the queue, and counts as dropped. */
  readonly found: (row: DamagedRow) => void
  /** Until then nothing is moved. */
  use(parts: DamageParts): void
}

export function createDamage({ directory, clock, logger, metrics }: DamageDependencies): Damage {
  const quarantine = createQuarantine(directory, clock, outboxFolderName)
  const log = createLimitedLog({ logger, clock })
  const known = new Set<string>()
  let parts: DamageParts | undefined

  async function handle(row: DamagedRow): Promise<void> {
    const { table, key } = row
    const fields = { table, key: key.toString('hex'), file: quarantine.file }
    try {
      await quarantine.keep([row])
      metrics.outboxRowsQuarantined.inc({ table })
      log.error(table, fields, 'a row of the outbox is damaged: it is in quarantine')
      if (table === 'records' && parts) await removeRecord(parts, row)
    } catch (thrown) {
      const reason = messageOf(thrown)
      log.error('failed', { ...fields, reason }, 'a damaged row of the outbox stays in it')
    }
  }

  return {
    quarantine,
    found({ table, key, value }) {
      const name = `${table} ${key.toString('hex')}`
      if (known.has(name) || known.size >= foundMax) return
      known.add(name)
      // The bytes may belong to the library, which uses them again.
      void handle({ table, key: Buffer.from(key), value: Buffer.from(value) })
    },
    use(given) {
      parts = given
    },
  }
}

async function removeRecord(parts: DamageParts, { key, value }: DamagedRow): Promise<void> {
  const { destinations, pendingRemovals, commits, room, clock } = parts
  const [destinationId, sequence] = readKey(key, 0)
  // A message goes with the last of its records, each of which is found damaged when it is read.
  if (destinationId === noDestinationId) return
  const destination = destinations.entryWithId(destinationId)
  const row = rowOf(parts.ledger, value)
  if (!destination || !row) return
  const removals = { destination, sequences: [sequence] }
  pendingRemovals.add(removals)
  // A record that is damaged itself may name any message: the next start counts its sharers anew.
  const messageId = isWholeRecord(key, value) ? referenceOf(value)?.id : undefined
  const gone = { destination, sequence, row, bytes: value.length, messageId, isDamaged: true }
  try {
    await commits.append({
      entries: [],
      givenUp: [gone],
      bytes: 0,
      requestedMs: clock.monotonicMs(),
    })
  } catch (thrown) {
    pendingRemovals.removed(removals)
    throw thrown
  } finally {
    room.roomMade([destination])
  }
}

/**
 * The action that the bytes name, where it has records in the queue, or another one that has: the
 * next start counts what is there anew.
 */
function rowOf(ledger: Ledger, value: Buffer): LedgerRow | undefined {
  try {
    const { ruleName, actionIndex } = actionOf(value)
    return ledger.withQueued(ruleName, actionIndex)
  } catch {
    return ledger.withQueued()
  }
}
