import type { RecordOutcome } from '../aws/call/call-outcome.ts'
import { classify } from '../aws/call/failure-class.ts'

/** Writes records in one request. Never rejects. @returns what the broker says of a partition */
type Produce<Item> = (records: readonly Item[]) => Promise<(partition: number) => RecordOutcome>

/**
 * Writes records to the partitions of one broker. A broker takes or refuses all records of a
 * partition together, so that one record which is too large, or which its topic does not take,
 * spoils the others. Those are then written in halves, until each refusal is of one record.
 *
 * A half is written only when the one before it is, or holds refused records alone: records of a
 * partition never overtake one that is sent again later.
 *
 * @returns the outcomes in the order of the records
 */
export async function produceInParts<Item extends { readonly partition: number }>(
  records: readonly Item[],
  produce: Produce<Item>,
): Promise<readonly RecordOutcome[]> {
  const outcomes = new Map<Item, RecordOutcome>()
  const said = await produce(records)
  for (const [partition, list] of byPartition(records)) await settle(list, said(partition))
  return records.map((record) => outcomes.get(record) ?? said(record.partition))

  /** @returns the outcome of the list: of several, that which decides whether to go on */
  async function settle(list: readonly Item[], outcome: RecordOutcome): Promise<RecordOutcome> {
    if (list.length <= 1 || !isRefused(outcome)) {
      for (const record of list) outcomes.set(record, outcome)
      return outcome
    }
    const middle = Math.ceil(list.length / 2)
    const before = await write(list.slice(0, middle))
    if (before.ok || isRefused(before)) return write(list.slice(middle))
    for (const record of list.slice(middle)) outcomes.set(record, before)
    return before
  }

  async function write(list: readonly Item[]): Promise<RecordOutcome> {
    const answer = await produce(list)
    return settle(list, answer(list[0]?.partition ?? 0))
  }
}

function byPartition<Item extends { readonly partition: number }>(
  records: readonly Item[],
): ReadonlyMap<number, readonly Item[]> {
  const lists = new Map<number, Item[]>()
  for (const record of records) {
    const list = lists.get(record.partition) ?? []
    list.push(record)
    lists.set(record.partition, list)
  }
  return lists
}

const isRefused = (outcome: RecordOutcome) => !outcome.ok && classify(outcome.failure) === 'record'
