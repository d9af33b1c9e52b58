/**
 * What one rule may spend on one message: a number of steps, for its time and its memory.
 *
 * A message of 128 KiB can ask a short statement for hours of work and gigabytes (a query inside a
 * query, a text made longer for each element). So whatever is in proportion to a message spends
 * steps before or just after it does the work, and when they are spent, the rule fails. Steps are
 * counted, not timed: the same message has the same outcome on every computer.
 *
 * A step stands for at most about 50 ns and 16 bytes:
 *
 *   reading 16 characters of a text       making 4 characters of a text, or 1 of a JSON text
 *   comparing two values                  an item of an array; a member of an object takes 4
 *   4 instructions of a regular expression on one character
 *
 * What stands once in a statement and takes a bounded time spends nothing outside of a query: the
 * length of a statement is its bound.
 */
import { placeIn } from '../parser/syntax-error.ts'

/** Steps of one rule for one message, its templates included; of its error action as many again. */
export const workMax = 3_000_000

/** Of making an object, and of each of its members. */
export const objectSteps = 16
export const memberSteps = 4

/** Where work is done, for people. */
export interface WorkPlace {
  /** What stands there: `upper()`, `'IN'`, `@list`. */
  readonly name: string
  /** The statement or the text with templates, and the offset in it. */
  readonly text: string
  readonly at: number
  readonly isTemplate: boolean
}

/** The steps of one rule and message. */
export interface Work {
  stepsLeft: number
  /** Where the latest work was done. */
  place: WorkPlace | undefined
}

/** The steps are spent. Ends the rule: see external-calls.ts. */
export class WorkSpent extends Error {
  constructor() {
    super('more work than one rule may do for one message')
  }
}

export function newWork(): Work {
  return { stepsLeft: workMax, place: undefined }
}

/** @throws WorkSpent */
export function spend(work: Work, steps: number): void {
  work.stepsLeft -= steps
  if (work.stepsLeft < 0) throw new WorkSpent()
}

/** `upper() at line 1, column 8`. */
export function describePlace({ name, text, at, isTemplate }: WorkPlace): string {
  const { line, column } = placeIn(text, at)
  return `${name} at line ${line}, column ${column}${isTemplate ? ' of a template' : ''}`
}
