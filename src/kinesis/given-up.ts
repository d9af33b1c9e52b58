import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import { createLimitedLog } from '../limited-log.ts'
import type {
  GivenUp,
  NewRecord,
  Outbox,
  OutReason,
  QueuedDestination,
  QueuedRecord,
} from '../outbox/outbox.ts'
import type { Logger } from '../telemetry.ts'

/** A record that is given up, with all that is known of it. */
export interface OutRecord {
  readonly record: NewRecord
  readonly reason: OutReason
  /** Calls that failed for it, and when the first and the last did, in epoch milliseconds. */
  readonly attempts: number
  readonly firstMs: number
  readonly lastMs: number
}

/**
 * Asked what becomes of records that are given up: for each, in their order, the records that its
 * rule's error action makes of it (an empty list when it shares those of another record), or
 * undefined for the dead letters. If it fails, all of them become dead letters.
 */
export type OnOut = (
  records: readonly OutRecord[],
) => Promise<readonly (readonly NewRecord[] | undefined)[]>

/** A record to give up, as the producer knows it. */
export type Leaving = Omit<GivenUp, 'handedTo'>

/** Takes the records that are given up out of the queue, one group after the other. */
export interface GivingUp {
  /** Resolves when they are out of the outbox's queue, or when the producer stops. */
  giveUp(records: readonly Leaving[]): Promise<void>
  isLeaving(sequence: number): boolean
  /** How many are on their way. */
  pending(): number
  /** Resolves when no group is on its way. */
  idle(): Promise<void>
}

export interface GivingUpParts {
  readonly outbox: Pick<Outbox, 'giveUp' | 'originOf'>
  readonly queued: QueuedDestination
  readonly clock: Clock
  readonly logger: Logger
  readonly onOut?: OnOut
  /** Ends the waiting for a disk that is full. */
  readonly signal: AbortSignal
  /** Called after records have left. */
  readonly onGone: () => void
}

/** While the outbox cannot write, e.g. on a full disk. */
const retryMs = 1_000

export function createGivingUp(parts: GivingUpParts): GivingUp {
  const { outbox, queued, clock, logger, signal } = parts
  const log = createLimitedLog({ logger, clock })
  const leaving = new Set<number>()
  let last: Promise<void> = Promise.resolve()

  async function move(records: readonly Leaving[]): Promise<void> {
    const takers = await askFor(parts, records)
    const givenUp = records.map((record, index): GivenUp => {
      const handedTo = takers[index]
      return handedTo === undefined ? record : { ...record, handedTo }
    })
    while (!signal.aborted) {
      try {
        await outbox.giveUp(queued.id, givenUp)
        report(givenUp)
        return
      } catch (error) {
        log.error('write', { reason: messageOf(error) }, 'given up records stay in the queue')
        await clock.sleep(retryMs, signal)
      }
    }
  }

  function report(givenUp: readonly GivenUp[]): void {
    const [first] = givenUp
    if (!first) return
    const { streamName: stream, region } = queued.destination
    const { code, message: reason } = first.reason
    const deadLetters = givenUp.filter(({ handedTo }) => handedTo === undefined).length
    log.error(
      code,
      { stream, region, code, reason, records: givenUp.length, deadLetters },
      'records are given up: they go to their error actions or the dead letters',
    )
  }

  return Object.freeze({
    giveUp(records: readonly Leaving[]) {
      for (const { record } of records) leaving.add(record.sequence)
      last = last
        .then(() => move(records))
        .then(() => {
          for (const { record } of records) leaving.delete(record.sequence)
          parts.onGone()
        })
      return last
    },
    isLeaving: (sequence: number) => leaving.has(sequence),
    pending: () => leaving.size,
    idle: () => last,
  })
}

async function askFor(
  { outbox, queued, logger, onOut }: GivingUpParts,
  records: readonly Leaving[],
): Promise<readonly (readonly NewRecord[] | undefined)[]> {
  if (!onOut) return []
  try {
    return await onOut(
      records.map(({ record, ...facts }) => ({
        record: asNew(record, queued, outbox),
        ...facts,
      })),
    )
  } catch (error) {
    logger.error(
      { reason: messageOf(error) },
      'error actions failed: dead letters are kept instead',
    )
    return []
  }
}

function asNew(
  record: QueuedRecord,
  { destination }: QueuedDestination,
  outbox: Pick<Outbox, 'originOf'>,
): NewRecord {
  const { ruleName, actionIndex, partitionKey, explicitHashKey, data } = record
  return {
    destination,
    partitionKey,
    ...(explicitHashKey === undefined ? {} : { explicitHashKey }),
    data,
    ruleName,
    actionIndex,
    origin: outbox.originOf(record),
  }
}
