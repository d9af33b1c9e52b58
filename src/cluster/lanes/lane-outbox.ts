import type { NewRecord, Outbox, QueuedRecord, RecordToGiveUp } from '../../outbox/outbox.ts'
import { encodeDeadLetter } from '../../outbox/store/dead-letter-codec.ts'
import { canonicalText } from '../../outbox/store/destination.ts'
import { wholeValueOf } from '../../outbox/store/queued-record.ts'
import { noDestinationId } from '../../outbox/store/record-key.ts'
import { LaneLostError } from '../log/replicated-log.ts'
import { encodeLetter } from './letter-codec.ts'
import type { OwnedLane, SettlingLetter } from './owned-lane.ts'
import type { PlacedRecords } from './placed-records.ts'

interface LaneOutboxDependencies {
  /** That of this node: a cache of what the log holds. */
  readonly outbox: Outbox
  readonly placed: Pick<PlacedRecords<OwnedLane>, 'find'>
  /** Stores records in the log. */
  readonly append: Outbox['append']
  /** Stores records that replace others, also while the log is full. */
  readonly appendMoved: (records: readonly NewRecord[]) => Promise<void>
  /** Whether records wait for room in the log. */
  readonly isFull: () => boolean
}

/**
 * The outbox as the producer of a node sees it: what leaves it is settled in the log as well.
 *
 * A record that is replaced is settled after its replacements are in the log: when the node dies in
 * between, the next owner gives it up again, and the replacements are there twice.
 */
export function createLaneOutbox({
  outbox,
  placed,
  append,
  appendMoved,
  isFull,
}: LaneOutboxDependencies): Outbox {
  function settle(records: readonly QueuedRecord[], how: 'delivered' | 'handedOver'): void {
    for (const record of records) {
      const found = placed.find(record.sequence)
      found?.owner.settle(found.chunk, found.index, record, how)
    }
  }

  /** Puts records among the dead letters of their lanes. */
  async function bury(destinationId: number, records: readonly RecordToGiveUp[]): Promise<void> {
    const destination = outbox.destinations().find(({ id }) => id === destinationId)?.destination
    if (destination === undefined) return
    const json = canonicalText(destination)
    const byLane = new Map<OwnedLane, SettlingLetter[]>()
    for (const given of records) {
      const { record } = given
      const found = placed.find(record.sequence)
      if (found === undefined) continue
      const value = encodeDeadLetter({
        ...given,
        destinationId: noDestinationId,
        record: wholeValueOf(record),
      })
      const data = encodeLetter({ kind: 'deadLetter', destination: json, value })
      const letters = byLane.get(found.owner) ?? []
      byLane.set(found.owner, letters)
      letters.push({ data, chunk: found.chunk, index: found.index, of: record })
    }
    await Promise.all(
      Array.from(byLane, async ([lane, letters]) => {
        try {
          await lane.giveUp(letters)
        } catch (thrown) {
          // The next owner of the lane gives them up.
          if (!(thrown instanceof LaneLostError)) throw thrown
        }
      }),
    )
  }

  return {
    ...outbox,
    append,
    troubles: { ...outbox.troubles, isFull: () => isFull() || outbox.troubles.isFull() },
    delivered(destinationId, records) {
      settle(records, 'delivered')
      outbox.delivered(destinationId, records)
    },
    async giveUp(destinationId, records) {
      const replaced = records.filter(
        ({ record, replacements }) =>
          replacements !== undefined && placed.find(record.sequence) !== undefined,
      )
      const lists = new Set(replaced.flatMap(({ replacements }) => [replacements ?? []]))
      for (const list of lists) if (list.length > 0) await appendMoved(list)
      settle(
        replaced.map(({ record }) => record),
        'handedOver',
      )
      const others = records.filter(({ replacements }) => replacements === undefined)
      await bury(destinationId, others)
      outbox.delivered(
        destinationId,
        records.map(({ record }) => record),
      )
    },
  }
}
