import type { Counter } from 'prom-client'

/** Whose records they are: the labels of the counters of records. */
export interface RecordOwner {
  readonly ruleName: string
  readonly actionIndex: number
}

/**
 * Adds one for each record to a counter by rule and action. Records are counted up first: a labelled
 * counter costs more than a record may.
 */
export function countByAction(
  counter: Counter<'rule' | 'action'>,
  records: Iterable<RecordOwner>,
): void {
  const counts = new Map<string, number[]>()
  for (const { ruleName, actionIndex } of records) {
    let ofRule = counts.get(ruleName)
    if (ofRule === undefined) counts.set(ruleName, (ofRule = []))
    ofRule[actionIndex] = (ofRule[actionIndex] ?? 0) + 1
  }
  for (const [rule, ofRule] of counts) {
    ofRule.forEach((count, action) => counter.inc({ rule, action: String(action) }, count))
  }
}
