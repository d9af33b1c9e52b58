/**
 * Runs a program on a text in time linear in both: all paths through the pattern advance together,
 * one character at a time, and no instruction is entered twice at one position (Thompson's
 * construction, extended to groups by Pike).
 *
 * Threads are ordered by priority. A thread that matches ends all threads below it, and its match
 * is final when all threads above it have ended. Until the first match, a new thread starts below
 * all others at every position.
 *
 * It has every assertion of Java, and it spends steps for the work that it really does.
 */
import { spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'
import type { Engine, Match } from './engine.ts'
import { instructionLength, operation } from './program.ts'
import type { Program } from './program.ts'
import { createSubject } from './subject.ts'
import type { Subject } from './subject.ts'

/** The steps of an instruction, including a copy of a thread's positions. */
const stepsOfInstruction = 2

export function createMachineEngine(program: Program): Engine {
  return {
    open(text, work) {
      const machine = createMachine(program, createSubject(text, work), work)
      return { find: (from, searchStart) => machine.run(from, searchStart) }
    },
  }
}

/** Positions by slot, -1 for none. Threads share them, so they never change. */
type Slots = Int32Array

interface Threads {
  readonly instructions: Int32Array
  readonly slots: Slots[]
  count: number
}

/** Finds the threads at a position and counts the work. */
interface Entrance {
  /** Follows an instruction to those that take a character, in the order of priority. */
  enter(threads: Threads, instruction: number, slots: Slots, position: number): void
  /** Must be called for every new position. */
  nextPosition(): void
  /** Where the last match ended. */
  searchStart: number
  /** Instructions that were followed and are not yet paid for. */
  steps: number
}

function createEntrance(program: Program, subject: Subject): Entrance {
  const { code, assertions, size, slotCount } = program
  /** The position at which an instruction was last entered. */
  const entered = new Int32Array(size).fill(-1)
  const instructions: number[] = []
  const slotsOf: Slots[] = []
  let step = 0
  const push = (instruction: number, slots: Slots) => {
    instructions.push(instruction)
    slotsOf.push(slots)
  }
  const entrance: Entrance = {
    searchStart: 0,
    steps: 0,
    nextPosition: () => void step++,
    enter(threads, instruction, slots, position) {
      push(instruction, slots)
      for (;;) {
        const at = instructions.pop()
        const own = slotsOf.pop()
        if (at === undefined || own === undefined) return
        entrance.steps++
        if (entered[at] === step) continue
        entered[at] = step
        const word = at * instructionLength
        const first = code[word + 1] ?? 0
        const kind = code[word]
        if (kind === operation.split) {
          push(code[word + 2] ?? 0, own)
          push(first, own)
        } else if (kind === operation.save) {
          const changed = own.slice()
          changed[first] = position
          entrance.steps += slotCount >> slotsAnInstructionLog2
          push(at + 1, changed)
        } else if (kind === operation.check) {
          const assertion = assertions[first]
          if (assertion === undefined) continue
          if (subject.holds(assertion, position, entrance.searchStart)) push(at + 1, own)
        } else if (kind === operation.round) {
          push(own[first] === position ? (code[word + 2] ?? 0) : at + 1, own)
        } else {
          threads.instructions[threads.count] = at
          threads.slots[threads.count] = own
          threads.count++
        }
      }
    },
  }
  return entrance
}

/** Copying 8 positions counts as one instruction. */
const slotsAnInstructionLog2 = 3

function createMachine(program: Program, subject: Subject, work: Work) {
  const { code, sets, size, slotCount, canBegin } = program
  const { text } = subject
  const entrance = createEntrance(program, subject)
  const noSlots: Slots = new Int32Array(slotCount).fill(-1)
  let current = createThreads(size)
  let next = createThreads(size)

  /** Advances all threads by one character. @returns the slots of the best match so far */
  function advance(codePoint: number, after: number): Slots | undefined {
    for (let index = 0; index < current.count; index++) {
      const at = current.instructions[index] ?? 0
      const slots = current.slots[index] ?? noSlots
      const word = at * instructionLength
      if (code[word] === operation.match) return slots
      entrance.steps++
      if (codePoint >= 0 && sets[code[word + 1] ?? 0]?.(codePoint) === true) {
        entrance.enter(next, at + 1, slots, after)
      }
    }
    return undefined
  }

  function run(from: number, searchStart: number): Match | undefined {
    entrance.searchStart = searchStart
    entrance.nextPosition()
    current.count = 0
    let best: Slots | undefined
    for (let position = from; ;) {
      spend(work, (entrance.steps + 1) * stepsOfInstruction)
      entrance.steps = 0
      const codePoint = text.codePointAt(position) ?? -1
      const after = position + (codePoint > 0xffff ? 2 : 1)
      if (best === undefined && (canBegin === undefined || canBegin(codePoint))) {
        entrance.enter(current, 0, noSlots, position)
      }
      entrance.nextPosition()
      if (current.count === 0) {
        if (best !== undefined || codePoint < 0) break
        position = after
        continue
      }
      next.count = 0
      best = advance(codePoint, after) ?? best
      if (codePoint < 0) break
      const free = current
      current = next
      next = free
      position = after
    }
    return best === undefined ? undefined : matchOf(text, best)
  }

  return { run }
}

function createThreads(size: number): Threads {
  return { instructions: new Int32Array(size), slots: [], count: 0 }
}

function matchOf(text: string, slots: Slots): Match {
  return {
    start: slots[0] ?? 0,
    end: slots[1] ?? 0,
    group(index) {
      const [start = -1, end = -1] = [slots[2 * index], slots[2 * index + 1]]
      return start < 0 || end < 0 ? undefined : text.slice(start, end)
    },
  }
}
