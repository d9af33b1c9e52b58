/**
 * A pattern compiled to instructions for the machine.
 *
 * Each instruction has three numbers in `code`: the operation and its two operands.
 *
 *   take   set            one code point of `sets[set]`, then the next instruction
 *   split  first  second  both, `first` with the higher priority
 *   save   slot           stores the position; slots 2n and 2n + 1 are start and end of group n
 *   check  assertion      continues where `assertions[assertion]` holds
 *   round  slot   exit    ends a round of a loop: continues at `exit` when the position is still
 *                         the one in `slot`, otherwise at the next instruction
 *   match                 the pattern has matched
 *
 * A repeat is expanded as often as it counts, so the size of a program has a bound.
 */
import { contains } from './code-point-set.ts'
import type { CodePointSet } from './code-point-set.ts'
import { firstSet } from './first-set.ts'
import { canBeEmpty, isNothing } from './node-shape.ts'
import type { Assertion, Node, Pattern } from './pattern.ts'

export const operation = Object.freeze({ take: 0, split: 1, save: 2, check: 3, round: 4, match: 5 })
export const instructionLength = 3

export interface Program {
  readonly code: Int32Array
  /** Instructions. */
  readonly size: number
  readonly sets: readonly SetTest[]
  readonly assertions: readonly Assertion[]
  /** Whether a match can begin with a code point; undefined when a match can be empty. */
  readonly canBegin: SetTest | undefined
  /**
   * The positions that a thread stores: two per group, the whole match included, and one per
   * `round`.
   */
  readonly slotCount: number
}

/** Tests membership in a set, with a table for Latin-1. */
type SetTest = (codePoint: number) => boolean

/** Instructions of one pattern. */
export const programSizeMax = 10_000

/** The most groups, and repeats whose rounds can be empty. */
export const groupsMax = 250
const slotsMax = 2 * (groupsMax + 1)

/** @returns undefined when the pattern takes more instructions or groups than a program may have */
export function compileProgram({ root, groupCount }: Pattern): Program | undefined {
  const assembly: Assembly = {
    code: [],
    sets: new Map(),
    assertions: [],
    slotCount: 2 * (groupCount + 1),
    roundSlots: new Map(),
    isTooLarge: false,
  }
  emit(assembly, operation.save, 0)
  emitNode(assembly, root)
  emit(assembly, operation.save, 1)
  emit(assembly, operation.match)
  if (assembly.isTooLarge || sizeOf(assembly) > programSizeMax) return undefined
  if (assembly.slotCount > slotsMax) return undefined
  const first = firstSet(root)
  return {
    code: Int32Array.from(assembly.code),
    size: assembly.code.length / instructionLength,
    sets: Object.freeze([...assembly.sets.keys()].map(createSetTest)),
    assertions: Object.freeze(assembly.assertions),
    canBegin: first && createSetTest(first),
    slotCount: assembly.slotCount,
  }
}

interface Assembly {
  readonly code: number[]
  readonly sets: Map<CodePointSet, number>
  readonly assertions: Assertion[]
  slotCount: number
  /** The slot of a repeat whose rounds can be empty. */
  readonly roundSlots: Map<Node, number>
  isTooLarge: boolean
}

/** @returns the index of the instruction */
function emit({ code }: Assembly, op: number, first = 0, second = 0): number {
  code.push(op, first, second)
  return code.length / instructionLength - 1
}

function sizeOf({ code }: Assembly): number {
  return code.length / instructionLength
}

function emitNode(assembly: Assembly, node: Node): void {
  if (sizeOf(assembly) > programSizeMax) assembly.isTooLarge = true
  if (assembly.isTooLarge) return
  switch (node.kind) {
    case 'set':
      emit(assembly, operation.take, indexOfSet(assembly, node.set))
      return
    case 'sequence':
      for (const part of node.parts) emitNode(assembly, part)
      return
    case 'alternation':
      emitAlternation(assembly, node.branches)
      return
    case 'group':
      if (node.index !== undefined) emit(assembly, operation.save, 2 * node.index)
      emitNode(assembly, node.body)
      if (node.index !== undefined) emit(assembly, operation.save, 2 * node.index + 1)
      return
    case 'repeat':
      emitRepeat(assembly, node)
      return
    case 'assertion':
      emit(assembly, operation.check, assembly.assertions.push(node.assertion) - 1)
      return
    case 'look':
    case 'atomic':
    case 'backreference':
      throw new Error(`the machine has no ${node.kind}`) // the pattern's demands say so before
  }
}

function indexOfSet({ sets }: Assembly, set: CodePointSet): number {
  const known = sets.get(set)
  if (known !== undefined) return known
  sets.set(set, sets.size)
  return sets.size - 1
}

/** Every branch but the last jumps behind the last one, by a split with one target. */
function emitAlternation(assembly: Assembly, branches: readonly Node[]): void {
  const exits: number[] = []
  for (const [index, branch] of branches.entries()) {
    if (index === branches.length - 1) {
      emitNode(assembly, branch)
      break
    }
    const split = emit(assembly, operation.split, sizeOf(assembly) + 1)
    emitNode(assembly, branch)
    exits.push(emit(assembly, operation.split))
    setOperands(assembly, split, sizeOf(assembly), 'greedy', split + 1)
  }
  for (const exit of exits) setOperands(assembly, exit, sizeOf(assembly))
}

/**
 * `X{2,}` becomes X followed by X once or more. As in Java, a round that takes no character ends
 * the repeat, even before its least number of rounds.
 */
function emitRepeat(assembly: Assembly, node: Extract<Node, { kind: 'repeat' }>): void {
  const { body, min, max, mode } = node
  if (isNothing(body)) return
  const isEndless = max === Number.POSITIVE_INFINITY
  const exits: number[] = []
  const rounds: number[] = []
  const slot = canBeEmpty(body) ? roundSlotOf(assembly, node) : undefined
  const emitRound = () => {
    if (slot !== undefined) emit(assembly, operation.save, slot)
    emitNode(assembly, body)
    if (slot !== undefined) rounds.push(emit(assembly, operation.round, slot))
  }
  const owed = isEndless ? min - 1 : min
  for (let copy = 0; copy < owed && !assembly.isTooLarge; copy++) emitRound()
  if (isEndless) {
    if (min === 0) exits.push(emit(assembly, operation.split))
    const start = sizeOf(assembly)
    emitRound()
    const loop = emit(assembly, operation.split)
    setOperands(assembly, loop, sizeOf(assembly), mode, start)
  } else {
    for (let copy = min; copy < max && !assembly.isTooLarge; copy++) {
      exits.push(emit(assembly, operation.split))
      emitRound()
    }
  }
  for (const exit of exits) setOperands(assembly, exit, sizeOf(assembly), mode, exit + 1)
  for (const round of rounds) assembly.code[round * instructionLength + 2] = sizeOf(assembly)
}

/** All copies of a repeat share one slot, because a thread is in only one of them at a time. */
function roundSlotOf(assembly: Assembly, node: Node): number {
  const known = assembly.roundSlots.get(node)
  if (known !== undefined) return known
  const slot = assembly.slotCount++
  assembly.roundSlots.set(node, slot)
  return slot
}

/** @param inner the target inside; without it the split is a jump to `outer` */
function setOperands(
  { code }: Assembly,
  split: number,
  outer: number,
  mode: 'greedy' | 'lazy' | 'possessive' = 'greedy',
  inner = outer,
): void {
  const at = split * instructionLength
  code[at + 1] = mode === 'lazy' ? outer : inner
  code[at + 2] = mode === 'lazy' ? inner : outer
}

const latinSize = 0x100

function createSetTest(set: CodePointSet): SetTest {
  const latin = new Uint8Array(latinSize)
  for (let at = 0; (set[at] ?? latinSize) < latinSize; at += 2) {
    latin.fill(1, set[at], (set[at + 1] ?? 0) + 1)
  }
  return (codePoint) => (codePoint < latinSize ? latin[codePoint] === 1 : contains(set, codePoint))
}
