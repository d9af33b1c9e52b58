import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type {
  RecordToGiveUp,
  NewRecord,
  Outbox,
  GivenUpReason,
  QueuedDestination,
  QueuedRecord,
} from '../../outbox/outbox.ts'
import type { Logger } from '../../telemetry/telemetry.ts'

/** A record that is given up, with all that is known of it. */
export interface GivenUpRecord {
  readonly record: NewRecord
  readonly reason: GivenUpReason
  /** Calls that failed for it, and when the first and the last did, in epoch milliseconds. */
  readonly attempts: number
  readonly firstMs: number
  readonly lastMs: number
}

/** What becomes of records that are given up. */
export interface GivenUpAnswer {
  /**
   * For each, in their order: the records that its rule's error action makes of it, the same list
   * for all that share them; undefined: it becomes a dead letter.
   */
  readonly replacements: readonly (readonly NewRecord[] | undefined)[]
  /** Called when all of it is durable. */
  readonly onDurable?: () => void
}

/** Asked what becomes of records that are given up. If it fails, all of them become dead letters. */
export type OnGivenUp = (records: readonly GivenUpRecord[]) => Promise<GivenUpAnswer>

/** A record to give up, as the producer knows it. */
type UndecidedRecord = Omit<RecordToGiveUp, 'replacements'>

/** Takes the records that are given up out of the queue, one group after the other. */
export interface GivingUp {
  /** Resolves when they are out of the outbox's queue, or when the producer stops. */
  giveUp(records: readonly UndecidedRecord[]): Promise<void>
  isGivenUp(sequence: number): boolean
  /** How many are on their way. */
  pending(): number
  /** Resolves when no group is on its way. */
  idle(): Promise<void>
}

interface GivingUpDependencies {
  readonly outbox: Pick<Outbox, 'giveUp' | 'sourceOf'>
  readonly queued: QueuedDestination
  readonly clock: Clock
  readonly logger: Logger
  readonly onGivenUp?: OnGivenUp
  /** Ends the waiting for a disk that is full. */
  readonly signal: AbortSignal
  /** Called after records have left. */
  readonly onRemoved: () => void
}

/** While the outbox cannot write, e.g. on a full disk. */
const retryMs = 1_000

export function createGivingUp(parts: GivingUpDependencies): GivingUp {
  const { outbox, queued, clock, logger, signal } = parts
  const log = createLimitedLog({ logger, clock })
  const leaving = new Set<number>()
  let last: Promise<void> = Promise.resolve()

  async function move(records: readonly UndecidedRecord[]): Promise<void> {
    const { replacements, onDurable } = await askFor(parts, records)
    const givenUp = records.map((record, index): RecordToGiveUp => {
      const replacement = replacements[index]
      return replacement === undefined ? record : { ...record, replacements: replacement }
    })
    while (!signal.aborted) {
      try {
        await outbox.giveUp(queued.id, givenUp)
        onDurable?.()
        report(givenUp)
        return
      } catch (error) {
        log.error('write', { reason: messageOf(error) }, 'given up records stay in the queue')
        await clock.sleep(retryMs, signal)
      }
    }
  }

  async function moveAfter(
    before: Promise<void>,
    records: readonly UndecidedRecord[],
  ): Promise<void> {
    await before
    await move(records)
    for (const { record } of records) leaving.delete(record.sequence)
    parts.onRemoved()
  }

  function report(givenUp: readonly RecordToGiveUp[]): void {
    const [first] = givenUp
    if (!first) return
    const { streamName: stream, region } = queued.destination
    const { code, message: reason } = first.reason
    const deadLetters = givenUp.filter(({ replacements }) => replacements === undefined).length
    log.error(
      code,
      { stream, region, code, reason, records: givenUp.length, deadLetters },
      'records are given up: they go to their error actions or the dead letters',
    )
  }

  return {
    giveUp(records: readonly UndecidedRecord[]) {
      for (const { record } of records) leaving.add(record.sequence)
      last = moveAfter(last, records)
      return last
    },
    isGivenUp: (sequence: number) => leaving.has(sequence),
    pending: () => leaving.size,
    idle: () => last,
  }
}

const noReplacements: GivenUpAnswer = { replacements: [] }

async function askFor(
  { outbox, queued, logger, onGivenUp }: GivingUpDependencies,
  records: readonly UndecidedRecord[],
): Promise<GivenUpAnswer> {
  if (!onGivenUp) return noReplacements
  try {
    return await onGivenUp(
      records.map(({ record, ...facts }) => ({ record: asNew(record, queued, outbox), ...facts })),
    )
  } catch (error) {
    const reason = messageOf(error)
    logger.error({ reason }, 'error actions failed: dead letters are kept instead')
    return noReplacements
  }
}

function asNew(
  record: QueuedRecord,
  { destination }: QueuedDestination,
  outbox: Pick<Outbox, 'sourceOf'>,
): NewRecord {
  const { ruleName, actionIndex, partitionKey, explicitHashKey, data } = record
  return {
    destination,
    partitionKey,
    ...(explicitHashKey === undefined ? {} : { explicitHashKey }),
    data,
    ruleName,
    actionIndex,
    source: outbox.sourceOf(record),
  }
}
