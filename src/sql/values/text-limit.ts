/**
 * The length limit of texts. A payload has at most 128 KiB, but a rule can multiply it (`a + a +
 * a`, `replace(a, 'x', a)`). A text that would exceed the limit is Undefined.
 */

import { spend } from './work.ts'
import type { Work } from './work.ts'

/** UTF-16 units: as many as a Kinesis record of 1 MiB can hold. */
export const textLengthMax = 1024 * 1024

/** One step pays for making 4 characters. */
const charactersAStepLog2 = 2

/** Spends steps for a new text; Undefined when it exceeds the limit. @throws WorkSpent */
export function madeText(text: string, work: Work): string | undefined {
  spend(work, text.length >> charactersAStepLog2)
  return text.length <= textLengthMax ? text : undefined
}
