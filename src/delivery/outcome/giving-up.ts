import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { unlessAborted } from '../../base/unless-aborted.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type {
  RecordToGiveUp,
  NewRecord,
  Outbox,
  GivenUpReason,
  QueuedDestination,
  QueuedRecord,
} from '../../outbox/outbox.ts'
import { targetOf } from '../../outbox/outbox.ts'
import type { Logger, Metrics } from '../../telemetry/telemetry.ts'
import { noteGivenUp } from './note-failures.ts'
import type { RecordWatch } from './watch-records.ts'

/** A record that is given up, with the reason and its failed calls. */
export interface GivenUpRecord {
  readonly record: NewRecord
  readonly reason: GivenUpReason
  /** The number of failed calls; the first and the last failed at these epoch milliseconds. */
  readonly attempts: number
  readonly firstMs: number
  readonly lastMs: number
}

/** What becomes of records that are given up. */
export interface GivenUpAnswer {
  /**
   * One entry per record, in the order of the records: the records that the rule's error action
   * makes of it, or undefined when it becomes a dead letter. Records that share their replacements
   * have the same list.
   */
  readonly replacements: readonly (readonly NewRecord[] | undefined)[]
  /** Called once the replacements and dead letters are durable. */
  readonly onDurable?: (() => void) | undefined
}

/**
 * Decides what becomes of records that are given up. If it rejects, all become dead letters. When
 * `signal` aborts, nothing waits for the answer any more.
 */
export type OnGivenUp = (
  records: readonly GivenUpRecord[],
  signal?: AbortSignal,
) => Promise<GivenUpAnswer>

/** A record to give up, before it is decided what becomes of it. */
type UndecidedRecord = Omit<RecordToGiveUp, 'replacements'>

/** Moves records that are given up out of the outbox's queue, one group after the other. */
export interface GivingUp {
  /** Resolves when the records have left the outbox's queue, or when the producer stops. */
  giveUp(records: readonly UndecidedRecord[]): Promise<void>
  isGivenUp(sequence: number): boolean
  /** How many records are being given up. */
  pending(): number
  /** Resolves when no records are being given up. */
  idle(): Promise<void>
}

interface GivingUpDependencies {
  readonly outbox: Pick<Outbox, 'giveUp' | 'sourceOf'>
  readonly queued: QueuedDestination
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'ruleStatistics'>
  readonly onGivenUp?: OnGivenUp | undefined
  readonly recordWatch: RecordWatch
  /** Ends the wait for `onGivenUp` and for the disk. */
  readonly signal: AbortSignal
  /** Called after records have left the outbox's queue. */
  readonly onRemoved: () => void
}

/** The time between two tries while the outbox cannot write, for example on a full disk. */
const retryMs = 1_000

export function createGivingUp(parts: GivingUpDependencies): GivingUp {
  const { outbox, queued, clock, logger, signal, recordWatch } = parts
  const log = createLimitedLog({ logger, clock })
  const beingGivenUp = new Set<number>()
  let last: Promise<void> = Promise.resolve()

  async function move(records: readonly UndecidedRecord[]): Promise<void> {
    const answer = await replacementsOf(parts, records)
    if (!answer) return
    const { replacements, onDurable } = answer
    const givenUp = records.map((record, index): RecordToGiveUp => {
      const replacement = replacements[index]
      return replacement === undefined ? record : { ...record, replacements: replacement }
    })
    if (!(await write(givenUp))) return
    noteGivenUp(parts, givenUp)
    report(log, queued, givenUp, recordWatch)
    if (recordWatch.isConstant || recordWatch.watch.active) recordWatch.givenUp(givenUp)
    try {
      onDurable?.()
    } catch (thrown) {
      // The records have left the queue: trying it all again would give them up twice.
      log.error('durable', { reason: messageOf(thrown) }, 'what follows a given-up record failed')
    }
  }

  /** @returns whether it is written; false when the producer stops first */
  async function write(givenUp: readonly RecordToGiveUp[]): Promise<boolean> {
    while (!signal.aborted) {
      try {
        await unlessAborted(outbox.giveUp(queued.id, givenUp), signal)
        return true
      } catch (thrown) {
        if (signal.aborted) return false
        log.error(
          'write',
          { reason: messageOf(thrown) },
          'records cannot be given up: they stay in the queue',
        )
        await clock.sleep(retryMs, signal)
      }
    }
    return false
  }

  async function moveAfter(
    before: Promise<void>,
    records: readonly UndecidedRecord[],
  ): Promise<void> {
    await before
    await move(records)
    for (const { record } of records) beingGivenUp.delete(record.sequence)
    parts.onRemoved()
  }

  return {
    giveUp(records: readonly UndecidedRecord[]) {
      for (const { record } of records) beingGivenUp.add(record.sequence)
      last = moveAfter(last, records)
      return last
    },
    isGivenUp: (sequence: number) => beingGivenUp.has(sequence),
    pending: () => beingGivenUp.size,
    idle: () => last,
  }
}

function report(
  log: LimitedLog,
  { destination }: QueuedDestination,
  givenUp: readonly RecordToGiveUp[],
  recordWatch: Pick<RecordWatch, 'shown'>,
): void {
  const [first] = givenUp
  if (!first) return
  const { region } = destination
  const stream = recordWatch.shown(first.record, targetOf(destination))
  const { code, message } = first.reason
  const reason = recordWatch.shown(first.record, message)
  const deadLetters = givenUp.filter(({ replacements }) => replacements === undefined).length
  log.error(
    code,
    { stream, region, code, reason, records: givenUp.length, deadLetters },
    'records are given up: they go to their error actions or the dead letters',
  )
}

const noReplacements: GivenUpAnswer = { replacements: [] }

/** Undefined when the producer stops first: then the records stay in the outbox's queue. */
async function replacementsOf(
  { outbox, queued, logger, onGivenUp, signal }: GivingUpDependencies,
  records: readonly UndecidedRecord[],
): Promise<GivenUpAnswer | undefined> {
  if (signal.aborted) return undefined
  if (!onGivenUp) return noReplacements
  try {
    const given = records.map(({ record, ...facts }) => {
      return { record: asNew(record, queued, outbox), ...facts }
    })
    return await unlessAborted(onGivenUp(given, signal), signal)
  } catch (thrown) {
    if (signal.aborted) return undefined
    const reason = messageOf(thrown)
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
    explicitHashKey,
    data,
    ruleName,
    actionIndex,
    source: outbox.sourceOf(record),
  }
}
