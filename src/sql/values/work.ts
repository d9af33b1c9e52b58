/**
 * Bounds the time and memory that one rule may use for one message, as a number of steps.
 *
 * A message of 128 KiB can make a short statement work for hours and use gigabytes (a query inside
 * a query, a text that grows with each element). All work in proportion to a message therefore
 * spends steps, before it is done or just after, and the rule fails when no steps are left. Steps
 * are counted, not timed: the same message has the same outcome on every computer.
 *
 * A step stands for at most about 50 ns and 16 bytes:
 *
 *   reading 16 characters of a text       making 4 characters of a text, or 1 of a JSON text
 *   comparing two values                  an item of an array; a member of an object takes 4
 *   4 instructions of a regular expression on one character
 *
 * Work that a statement does once and that takes a bounded time spends no steps outside of a query,
 * because the length of the statement bounds it.
 */
import { placeIn } from '../parser/syntax-error.ts'

/** Steps of one rule for one message, templates included. The error action has as many again. */
export const workMax = 3_000_000

/** The steps for making an object, and for each of its members. */
export const objectSteps = 16
export const memberSteps = 4

/** A place in the text where work is done, for messages to people. */
export interface WorkPlace {
  /** The part of the text at the place: `upper()`, `'IN'`, `@list`. */
  readonly name: string
  /** The statement or the text with templates, and the offset in it. */
  readonly text: string
  readonly at: number
  readonly isTemplate: boolean
}

/** The steps that are left for one rule and message. */
export interface Work {
  stepsLeft: number
  /** The place of the latest work. */
  place: WorkPlace | undefined
}

/** Thrown when no steps are left. It ends the rule: see external-calls.ts. */
export class WorkSpent extends Error {
  constructor() {
    super('more work than one rule may do for one message')
  }
}

export function newWork(): Work {
  return { stepsLeft: workMax, place: undefined }
}

/** Spends steps. @throws WorkSpent when there are fewer left */
export function spend(work: Work, steps: number): void {
  work.stepsLeft -= steps
  if (work.stepsLeft < 0) throw new WorkSpent()
}

/** Describes a place for people: `upper() at line 1, column 8`. */
export function describePlace({ name, text, at, isTemplate }: WorkPlace): string {
  const { line, column } = placeIn(text, at)
  return `${name} at line ${line}, column ${column}${isTemplate ? ' of a template' : ''}`
}
