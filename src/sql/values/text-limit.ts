/**
 * How long a text may become. A payload has 128 KiB, but a rule can multiply it (`a + a + a`,
 * `replace(a, 'x', a)`), so every text that is made in evaluating has this limit: Undefined beyond.
 */

import { spend } from './work.ts'
import type { Work } from './work.ts'

/** UTF-16 units: as much as a Kinesis record of 1 MiB can hold. */
export const textLengthMax = 1024 * 1024

/** Characters that are made with one step: 4. */
const charactersAStepLog2 = 2

/** A text that was made, or Undefined when it is longer than the limit. @throws WorkSpent */
export function madeText(text: string, work: Work): string | undefined {
  spend(work, text.length >> charactersAStepLog2)
  return text.length <= textLengthMax ? text : undefined
}
