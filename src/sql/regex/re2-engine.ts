/**
 * The engine for almost all searches: re2js, linear in pattern and text.
 *
 * It never gets the original text of a pattern. The pattern is rewritten with what RE2 is certain
 * to support: sets as explicit ranges, groups, `|`, greedy and lazy repeats, and five assertions.
 * These differ from Java's: `\z` allows no line terminator before it, `(?m:^)` and `(?m:$)` know
 * only `\n`, and `\b` knows only ASCII. On most texts the results are still the same at every
 * position, and `isExactOn` tells which texts these are.
 */
import { RE2JS } from 're2js'
import type { CodePointSet } from './code-point-set.ts'
import type { Engine, Match } from './engine.ts'
import { canBeEmpty, hasCapture } from './node-shape.ts'
import type { Assertion, Node, Pattern } from './pattern.ts'
import { unreachable } from '../../base/unreachable.ts'

/** It does not report its work, so its caller spends the steps. */
interface Re2Engine extends Engine {
  /** Whether the result on this text is the same as Java's. */
  isExactOn(text: string): boolean
  /** Whether there is a match anywhere, which is faster than finding it. */
  test(text: string): boolean
}

/**
 * @returns undefined where RE2 refuses it (a repeat of more than 1,000), has no such assertion, or
 *   matches otherwise than Java (repeats whose rounds can be empty)
 */
export function createRe2Engine({ root }: Pattern): Re2Engine | undefined {
  const assertions = new Set<Assertion>()
  const source = writeNode(root, assertions)
  if (assertions.has('searchStart') || hasEmptyRounds(root)) return undefined
  const compiled = compile(source)
  if (compiled === undefined) return undefined
  const conditions = [...assertions].flatMap((assertion) => exactOn[assertion] ?? [])
  return {
    isExactOn: (text) => conditions.every((condition) => condition(text)),
    test: (text) => compiled.test(text),
    open(text) {
      const matcher = compiled.matcher(text)
      return {
        find: (from) => (matcher.find(from) ? matchOf(text, matcher) : undefined),
      }
    },
  }
}

function compile(source: string): RE2JS | undefined {
  try {
    return RE2JS.compile(source)
  } catch {
    return undefined
  }
}

function matchOf(text: string, matcher: ReturnType<RE2JS['matcher']>): Match {
  const [start, end] = [matcher.start(), matcher.end()]
  return {
    start,
    end,
    group: (index) => (index === 0 ? text.slice(start, end) : (matcher.group(index) ?? undefined)),
  }
}

/** Whether there is a repeat whose empty rounds Java treats differently. */
function hasEmptyRounds(node: Node): boolean {
  switch (node.kind) {
    case 'sequence':
      return node.parts.some(hasEmptyRounds)
    case 'alternation':
      return node.branches.some(hasEmptyRounds)
    case 'group':
    case 'atomic':
    case 'look':
      return hasEmptyRounds(node.body)
    case 'repeat': {
      const matters = node.min > 1 || hasCapture(node.body)
      return (matters && canBeEmpty(node.body)) || hasEmptyRounds(node.body)
    }
    case 'set':
    case 'assertion':
    case 'backreference':
      return false
    default:
      return unreachable(node)
  }
}

type Condition = (text: string) => boolean

const hasOnlyAscii: Condition = (text) => !/[^\0-\x7f]/.test(text)
const endsWithinLine: Condition = (text) => !/[\n\r\u0085\u2028\u2029]$/.test(text)
const endsWithoutLineFeed: Condition = (text) => !text.endsWith('\n')
const hasOnlyLineFeeds: Condition = (text) => !/[\r\u0085\u2028\u2029]/.test(text)
const hasNoPair: Condition = (text) => !text.includes('\r\n')
const isNotEmpty: Condition = (text) => text !== ''

/**
 * For each assertion that differs in RE2: the texts on which RE2's own one has the same result.
 */
const exactOn: Partial<Record<Assertion, readonly Condition[]>> = {
  finalEnd: [endsWithinLine],
  finalEndUnix: [endsWithoutLineFeed],
  lineStart: [isNotEmpty, endsWithinLine, hasOnlyLineFeeds],
  lineStartUnix: [isNotEmpty, endsWithoutLineFeed],
  lineEnd: [hasOnlyLineFeeds],
  wordBoundary: [hasOnlyAscii],
  notWordBoundary: [hasOnlyAscii],
  afterLineBreak: [hasNoPair],
  wordBoundaryUnicode: [hasOnlyAscii],
  notWordBoundaryUnicode: [hasOnlyAscii],
}

function writeNode(node: Node, assertions: Set<Assertion>): string {
  const write = (part: Node) => writeNode(part, assertions)
  switch (node.kind) {
    case 'set':
      return writeSet(node.set)
    case 'sequence':
      return node.parts.map(write).join('')
    case 'alternation':
      return `(?:${node.branches.map(write).join('|')})`
    case 'group':
      return node.index === undefined ? `(?:${write(node.body)})` : `(${write(node.body)})`
    case 'repeat':
      return `(?:${write(node.body)})${writeCounts(node)}`
    case 'assertion':
      assertions.add(node.assertion)
      return writeAssertion(node.assertion)
    case 'look':
    case 'atomic':
    case 'backreference':
      throw new Error(`RE2 has no ${node.kind}`) // the pattern's demands say so before
    default:
      return unreachable(node)
  }
}

function writeSet(set: CodePointSet): string {
  if (set.length === 0) return '[^\\x{0}-\\x{10ffff}]'
  let ranges = ''
  for (let at = 0; at < set.length; at += 2) {
    const [from, to] = [set[at] ?? 0, set[at + 1] ?? 0]
    ranges += `\\x{${from.toString(16)}}-\\x{${to.toString(16)}}`
  }
  return `[${ranges}]`
}

function writeCounts({ min, max, mode }: Extract<Node, { kind: 'repeat' }>): string {
  const suffix = mode === 'lazy' ? '?' : ''
  if (max === Number.POSITIVE_INFINITY) {
    if (min <= 1) return (min === 0 ? '*' : '+') + suffix
    return `{${min},}${suffix}`
  }
  return min === 0 && max === 1 ? `?${suffix}` : `{${min},${max}}${suffix}`
}

function writeAssertion(assertion: Assertion): string {
  switch (assertion) {
    case 'textStart':
      return '\\A'
    case 'textEnd':
    case 'finalEnd':
    case 'finalEndUnix':
      return '\\z'
    case 'lineStart':
    case 'lineStartUnix':
      return '(?m:^)'
    case 'lineEnd':
    case 'lineEndUnix':
      return '(?m:$)'
    case 'wordBoundary':
    case 'wordBoundaryUnicode':
      return '\\b'
    case 'notWordBoundary':
    case 'notWordBoundaryUnicode':
      return '\\B'
    case 'afterLineBreak':
      return ''
    case 'searchStart':
      return '' // refused by the caller
    default:
      return unreachable(assertion)
  }
}
