/**
 * Finds all matches of a text in time linear in the text and the program. It runs programs without
 * memory: an instruction's effect at a position does not depend on earlier instructions.
 *
 * One sweep from the end of the text to its beginning records for every instruction and position
 * whether a match can be reached from there. After that no search needs backtracking: at a split it
 * takes the branch with the higher priority if that leads to a match, and otherwise the other one.
 * This finds the same match as a backtracking engine, in time proportional to the match.
 *
 * It cannot run programs with `round`, which depends on the start of a round, or with
 * `searchStart`.
 */
import { spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'
import type { Engine, Match, Search } from './engine.ts'
import { instructionLength, operation } from './program.ts'
import type { Program } from './program.ts'
import { createSubject } from './subject.ts'
import type { Subject } from './subject.ts'

/** One step pays for sweeping over 4 instructions, with a byte of memory each. */
const sweptAStepLog2 = 2

/** @returns undefined for a program that this engine cannot run */
export function createSweepEngine(program: Program): Engine | undefined {
  if (program.assertions.includes('searchStart')) return undefined
  const order = orderOf(program)
  if (order === undefined) return undefined
  return { open: (text, work) => createSearch(program, order, createSubject(text, work), work) }
}

/**
 * The instructions in an order where each follows all those that it reaches without taking a
 * character. Undefined when there is no such order: a round without a character leads back to
 * itself.
 */
function orderOf({ code, size }: Program): Int32Array | undefined {
  const order = new Int32Array(size)
  const isDone = new Uint8Array(size)
  const isUnderway = new Uint8Array(size)
  let count = 0
  for (let root = 0; root < size; root++) {
    const stack = [root]
    while (stack.length > 0) {
      const at = stack.at(-1) ?? 0
      if (isDone[at] === 1) {
        stack.pop()
        continue
      }
      const next = followers(code, at)
      if (next === undefined) return undefined
      const open = next.filter((each) => isDone[each] === 0)
      if (open.length === 0) {
        isDone[at] = 1
        order[count++] = at
        stack.pop()
      } else if (isUnderway[at] === 1) {
        return undefined
      } else {
        isUnderway[at] = 1
        stack.push(...open)
      }
    }
  }
  return order
}

/** The instructions reached without taking a character; undefined for one that cannot be run. */
function followers(code: Int32Array, at: number): readonly number[] | undefined {
  const word = at * instructionLength
  const kind = code[word] ?? -1
  switch (kind) {
    case operation.take:
    case operation.match:
      return []
    case operation.split:
      return [code[word + 1] ?? 0, code[word + 2] ?? 0]
    case operation.save:
    case operation.check:
      return [at + 1]
    default:
      return undefined
  }
}

function createSearch(program: Program, order: Int32Array, subject: Subject, work: Work): Search {
  const { code, size, slotCount } = program
  const { text } = subject
  let reach: { readonly from: number; readonly rows: Uint8Array } | undefined

  /** The slots of the match that begins at a position, which must have one. */
  function follow(start: number, from: number, rows: Uint8Array): Int32Array {
    const slots = new Int32Array(slotCount).fill(-1)
    let position = start
    let at = 0
    let steps = slotCount
    for (;;) {
      steps++
      const word = at * instructionLength
      const kind = code[word]
      const operand = code[word + 1] ?? 0
      if (kind === operation.match) break
      if (kind === operation.split) {
        const isOpen = rows[(position - from) * size + operand] === 1
        at = isOpen ? operand : (code[word + 2] ?? 0)
        continue
      }
      if (kind === operation.save) slots[operand] = position
      else if (kind === operation.take) position += widthAt(text, position)
      at++
    }
    spend(work, steps)
    return slots
  }

  return {
    find(from) {
      reach ??= { from, rows: sweep(program, order, subject, { from, work }) }
      const { rows } = reach
      let start = from
      while (rows[(start - reach.from) * size] !== 1) {
        if (start >= text.length) return undefined
        start += widthAt(text, start)
      }
      return matchOf(text, follow(start, reach.from, rows))
    },
  }
}

/** One byte per instruction for each position from `from` on: 1 where a match can be reached. */
function sweep(
  { code, sets, assertions, size }: Program,
  order: Int32Array,
  subject: Subject,
  { from, work }: { readonly from: number; readonly work: Work },
): Uint8Array {
  const { text } = subject
  const length = text.length - from
  spend(work, ((length + 1) * size) >> sweptAStepLog2)
  const rows = new Uint8Array((length + 1) * size)
  for (let position = text.length; position >= from; position = positionBefore(text, position)) {
    const row = (position - from) * size
    const codePoint = text.codePointAt(position) ?? -1
    const next = row + (codePoint > 0xffff ? 2 : 1) * size
    for (const at of order) {
      const word = at * instructionLength
      const operand = code[word + 1] ?? 0
      const kind = code[word] ?? -1
      switch (kind) {
        case operation.take:
          if (codePoint >= 0 && rows[next + at + 1] === 1 && sets[operand]?.(codePoint) === true) {
            rows[row + at] = 1
          }
          break
        case operation.split:
          rows[row + at] = (rows[row + operand] ?? 0) | (rows[row + (code[word + 2] ?? 0)] ?? 0)
          break
        case operation.save:
          rows[row + at] = rows[row + at + 1] ?? 0
          break
        case operation.check: {
          const assertion = assertions[operand]
          const isOpen = assertion !== undefined && rows[row + at + 1] === 1
          if (isOpen && subject.holds(assertion, position, 0)) rows[row + at] = 1
          break
        }
        default:
          rows[row + at] = 1
      }
    }
    if (position === from) break
  }
  return rows
}

function widthAt(text: string, position: number): number {
  return (text.codePointAt(position) ?? 0) > 0xffff ? 2 : 1
}

/** The position of the previous character, never inside a surrogate pair. */
function positionBefore(text: string, position: number): number {
  return (text.codePointAt(position - 2) ?? 0) > 0xffff ? position - 2 : position - 1
}

function matchOf(text: string, slots: Int32Array): Match {
  return {
    start: slots[0] ?? 0,
    end: slots[1] ?? 0,
    group(index) {
      const [start = -1, end = -1] = [slots[2 * index], slots[2 * index + 1]]
      return start < 0 || end < 0 ? undefined : text.slice(start, end)
    },
  }
}
