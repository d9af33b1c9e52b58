/** Reads the pattern syntax of java.util.regex.Pattern (Java 17). */
import { foldedCodePoint } from './case-folding.ts'
import { readClass } from './class-reader.ts'
import { complement, everyCodePoint, setOfCharacters } from './code-point-set.ts'
import { lineBreak, readEscape, readGroupName } from './escape-reader.ts'
import { hasBoundedLength } from './bounded-length.ts'
import { emptyNode } from './pattern.ts'
import type { Assertion, Demand, Node, Pattern, RepeatMode } from './pattern.ts'
import { PatternError, PatternTooLarge } from './pattern-error.ts'
import { createPatternText, endOfPattern, literalOf } from './pattern-text.ts'
import { lineTerminators } from './properties.ts'
import { unreachable } from '../../base/unreachable.ts'
import { counted, demandBacktracking, fail, foldingOf, noFlags, setFlags } from './reader-state.ts'
import type { Flags, ReaderState } from './reader-state.ts'
import { findUnsureReference } from './unsure-reference.ts'

/** The longest pattern in UTF-16 units. */
export const patternLengthMax = 8_192
/** The greatest depth of brackets. */
const depthMax = 100
/** The greatest count in braces in Java. */
const countMax = 0x7fff_ffff

type ReadResult =
  | { readonly kind: 'pattern'; readonly pattern: Pattern }
  /** `invalid`: Java refuses it too. `tooLarge`: Java may accept it, this engine does not. */
  | { readonly kind: 'invalid' | 'tooLarge'; readonly problem: string; readonly at: number }

/**
 * @param source the text of the pattern
 * @returns the pattern, or its problem with the offset in UTF-16 units
 */
export function readPattern(source: string): ReadResult {
  if (source.length > patternLengthMax) {
    return { kind: 'tooLarge', problem: `it is longer than ${patternLengthMax}`, at: 0 }
  }
  try {
    return { kind: 'pattern', pattern: read(source) }
  } catch (thrown) {
    if (!(thrown instanceof PatternError)) throw thrown
    const kind = thrown instanceof PatternTooLarge ? 'tooLarge' : 'invalid'
    return { kind, problem: thrown.message, at: Math.min(thrown.at, source.length) }
  }
}

function read(source: string): Pattern {
  const state: ReaderState = {
    text: createPatternText(source),
    flags: noFlags,
    groupCount: 0,
    groupNames: new Map(),
    demands: [],
    depth: 0,
    rangeCount: 0,
    searchStartAt: undefined,
    lookBehinds: 0,
  }
  const root = readAlternation(state)
  if (state.text.peek() !== endOfPattern) fail(state, 'a ) closes no group')
  const { groupCount, groupNames, demands } = state
  demands.push(...findBeyond(state, root))
  return { root, groupCount, groupNames, demands: Object.freeze(demands) }
}

/** The constructs for which the backtracking engine differs from Java. */
function findBeyond({ demands, searchStartAt }: ReaderState, root: Node): readonly Demand[] {
  const beyond: Demand[] = []
  const [first] = demands
  if (searchStartAt !== undefined && first !== undefined) {
    const construct = `\\G together with ${first.construct}`
    beyond.push({ construct, at: searchStartAt, needs: 'nothing' })
  }
  const unsureAt = findUnsureReference(root)
  if (unsureAt !== undefined) {
    const construct = 'a backreference to a group that may not have matched by then'
    beyond.push({ construct, at: unsureAt, needs: 'nothing' })
  }
  return beyond
}

function readAlternation(state: ReaderState): Node {
  const branches = [readSequence(state)]
  while (state.text.peek() === code('|')) {
    state.text.take()
    branches.push(readSequence(state))
  }
  const [only] = branches
  return only !== undefined && branches.length === 1 ? only : { kind: 'alternation', branches }
}

function readSequence(state: ReaderState): Node {
  const { text } = state
  const parts: Node[] = []
  for (;;) {
    const codePoint = text.peek()
    if (codePoint === endOfPattern || codePoint === code('|') || codePoint === code(')')) break
    if (codePoint === code('(')) {
      const group = readGroup(state)
      if (group !== undefined) parts.push(readQuantifier(state, group))
    } else {
      parts.push(readQuantifier(state, readAtom(state, codePoint)))
    }
  }
  const [only] = parts
  return only !== undefined && parts.length === 1 ? only : { kind: 'sequence', parts }
}

const anything = everyCodePoint
const notLineTerminator = complement(lineTerminators)
const notLineFeed = complement(setOfCharacters('\n'))

function readAtom(state: ReaderState, codePoint: number): Node {
  const { text, flags } = state
  switch (codePoint) {
    case code('['):
      return { kind: 'set', set: readClass(state) }
    case code('\\'):
      text.take()
      return readEscapedAtom(state)
    case code('^'):
      text.take()
      return assertion(flags, 'textStart', 'textStart', 'lineStart', 'lineStartUnix')
    case code('$'):
      text.take()
      return assertion(flags, 'finalEnd', 'finalEndUnix', 'lineEnd', 'lineEndUnix')
    case code('.'): {
      text.take()
      if (flags.dotAll) return { kind: 'set', set: anything }
      return { kind: 'set', set: flags.unixLines ? notLineFeed : notLineTerminator }
    }
    case code('?'):
    case code('*'):
    case code('+'):
      return fail(state, `${String.fromCodePoint(codePoint)} has nothing before it to repeat`)
    case code('{'):
      return emptyNode // braces with nothing before them repeat nothing, if they are well formed
    default:
      text.take()
      return literal(state, literalOf(codePoint))
  }
}

function readEscapedAtom(state: ReaderState): Node {
  const escape = readEscape(state, 'outside')
  switch (escape.kind) {
    case 'codePoint':
      return literal(state, escape.codePoint)
    case 'class':
      return { kind: 'set', set: counted(state, escape.set) }
    case 'node':
      return escape.node
    default:
      return unreachable(escape)
  }
}

function literal(state: ReaderState, codePoint: number): Node {
  const set = foldedCodePoint(codePoint, foldingOf(state.flags))
  return { kind: 'set', set: counted(state, set) }
}

function assertion(
  flags: Flags,
  plain: Assertion,
  plainUnix: Assertion,
  line: Assertion,
  lineUnix: Assertion,
): Node {
  const [other, unix] = flags.multiline ? [line, lineUnix] : [plain, plainUnix]
  return { kind: 'assertion', assertion: flags.unixLines ? unix : other }
}

/** @returns undefined for flags alone, such as `(?i)`, which hold up to the end of the group */
function readGroup(state: ReaderState): Node | undefined {
  const { text, flags } = state
  const at = text.offset()
  if (++state.depth > depthMax) {
    throw new PatternTooLarge(`brackets deeper than ${depthMax}`, at)
  }
  text.take()
  const group = text.peek() === code('?') ? readSpecialGroup(state, at) : readCapture(state)
  state.depth--
  if (group === undefined) return undefined
  if (text.take() !== code(')')) fail(state, 'a group has no )', at)
  setFlags(state, flags)
  return group
}

function readCapture(state: ReaderState): Node {
  const index = ++state.groupCount
  return { kind: 'group', index, body: readAlternation(state) }
}

/** Reads a group that begins with `(?`. */
function readSpecialGroup(state: ReaderState, at: number): Node | undefined {
  const { text } = state
  text.take()
  switch (text.rawAt(0)) {
    case code(':'):
      text.takeRaw()
      return { kind: 'group', index: undefined, body: readAlternation(state) }
    case code('='):
    case code('!'): {
      const negative = text.takeRaw() === code('!')
      demandBacktracking(state, 'a look-ahead', at)
      return { kind: 'look', ahead: true, negative, body: readAlternation(state) }
    }
    case code('>'):
      text.takeRaw()
      demandBacktracking(state, 'an atomic group', at)
      return { kind: 'atomic', body: readAlternation(state) }
    case code('<'):
      text.takeRaw()
      return readNamedOrBehind(state, at)
    default:
      return readFlagGroup(state, at)
  }
}

function readNamedOrBehind(state: ReaderState, at: number): Node {
  const { text, groupNames } = state
  const next = text.peek()
  if (next !== code('=') && next !== code('!')) {
    const name = readGroupName(state)
    if (groupNames.has(name)) fail(state, `there are two groups <${name}>`, at)
    groupNames.set(name, state.groupCount + 1)
    return readCapture(state)
  }
  text.take()
  demandBacktracking(state, 'a look-behind', at)
  state.lookBehinds++
  const body = readAlternation(state)
  state.lookBehinds--
  if (!hasBoundedLength(body)) fail(state, 'a look-behind has no obvious greatest length', at)
  return { kind: 'look', ahead: false, negative: next === code('!'), body }
}

const flagNames: ReadonlyMap<number, Partial<Record<keyof Flags, true>>> = new Map([
  [code('i'), { ignoreCase: true }],
  [code('m'), { multiline: true }],
  [code('s'), { dotAll: true }],
  [code('d'), { unixLines: true }],
  [code('u'), { unicodeCase: true }],
  [code('x'), { comments: true }],
  [code('U'), { unicodeClasses: true, unicodeCase: true }],
] as const)

function readFlagGroup(state: ReaderState, at: number): Node | undefined {
  const { text } = state
  let isOn = true
  for (;;) {
    const codePoint = text.peek()
    const named = flagNames.get(codePoint)
    if (named !== undefined) {
      const switched = Object.keys(named).map((name) => [name, isOn])
      setFlags(state, { ...state.flags, ...Object.fromEntries(switched) })
    } else if (codePoint === code('c')) {
      state.demands.push({ construct: 'canonical equivalence (?c)', at, needs: 'nothing' })
    } else if (codePoint === code('-') && isOn) {
      isOn = false
    } else {
      break
    }
    text.take()
  }
  const end = text.take()
  if (end === code(')')) return undefined
  if (end !== code(':')) fail(state, 'a group begins with (? and no flag or mark that there is', at)
  return { kind: 'group', index: undefined, body: readAlternation(state) }
}

function readQuantifier(state: ReaderState, body: Node): Node {
  const { text } = state
  const at = text.offset()
  switch (text.peek()) {
    case code('?'):
      text.take()
      return repeat(state, body, 0, 1, at)
    case code('*'):
      text.take()
      return repeat(state, body, 0, Number.POSITIVE_INFINITY, at)
    case code('+'):
      text.take()
      return repeat(state, body, 1, Number.POSITIVE_INFINITY, at)
    case code('{'): {
      text.take()
      const [min, max] = readCounts(state, at)
      return repeat(state, body, min, max, at)
    }
    default:
      return body
  }
}

/** A repeated `\R` never gives back the `\n` of a pair. */
const wholeLineBreak: Node = {
  kind: 'sequence',
  parts: [lineBreak, { kind: 'assertion', assertion: 'afterLineBreak' }],
}

/** `n}`, `n,}` or `n,m}`. */
function readCounts(state: ReaderState, at: number): readonly [number, number] {
  const { text } = state
  const min = readCount(state, at)
  if (min === undefined) return fail(state, 'a { that repeats needs a number', at)
  let max: number = min
  if (text.peek() === code(',')) {
    text.take()
    const isOpen = text.peek() === code('}')
    max = isOpen ? Number.POSITIVE_INFINITY : (readCount(state, at) ?? 0)
  }
  if (text.take() !== code('}')) fail(state, 'a { that repeats has no }', at)
  if (max < min) fail(state, 'a { } counts backwards', at)
  return [min, max]
}

function readCount(state: ReaderState, at: number): number | undefined {
  let count: number | undefined
  for (;;) {
    const digit = state.text.peek() - 0x30
    if (digit < 0 || digit > 9) return count
    count = (count ?? 0) * 10 + digit
    if (count > countMax) fail(state, `a { } counts over ${countMax}`, at)
    state.text.take()
  }
}

function repeat(state: ReaderState, body: Node, min: number, max: number, at: number): Node {
  const repeated = body === lineBreak ? wholeLineBreak : body
  return { kind: 'repeat', body: repeated, min, max, mode: readMode(state, at) }
}

function readMode(state: ReaderState, at: number): RepeatMode {
  const { text } = state
  if (text.peek() === code('?')) {
    text.take()
    return 'lazy'
  }
  if (text.peek() !== code('+')) return 'greedy'
  text.take()
  demandBacktracking(state, 'a possessive quantifier', at)
  return 'possessive'
}

function code(character: string): number {
  return character.charCodeAt(0)
}
