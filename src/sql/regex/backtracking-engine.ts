/**
 * The engine for constructs that no linear engine has: look-around, backreferences, possessive
 * quantifiers and atomic groups. It runs on JavaScript's RegExp, which backtracks and can take
 * exponential time. It is used only where the operator has allowed it.
 *
 * JavaScript has no atomic groups, but `(?=(X))\1` is one: a look-ahead is never entered again, and
 * the reference matches its text. The expression therefore has more groups than the pattern.
 */
import type { CodePointSet } from './code-point-set.ts'
import type { Engine } from './engine.ts'
import type { Assertion, Node, Pattern } from './pattern.ts'
import { unreachable } from '../../base/unreachable.ts'
import { spend } from '../values/work.ts'

/** The steps of one search. One step pays for reading 16 characters. */
const stepsOfSearch = 4
const readAStepLog2 = 4

/** @returns undefined when RegExp refuses the pattern for its size */
export function createBacktrackingEngine({ root }: Pattern): Engine | undefined {
  const groups: Groups = { count: 0, written: new Map() }
  writeNode(root, groups) // numbers the groups, so that references forward are right as well
  groups.count = 0
  const expression = compile(writeNode(root, groups))
  if (expression === undefined) return undefined
  const numberOf = (index: number) => (index === 0 ? 0 : (groups.written.get(index) ?? -1))
  return {
    open: (text, work) => ({
      find(from) {
        // RegExp does not report its work, so the operator must allow this engine.
        spend(work, stepsOfSearch + ((text.length - from) >> readAStepLog2))
        let found = execute(expression, text, from)
        // V8 also finds empty matches inside a pair of surrogates.
        while (found !== null && isInsidePair(text, found.index)) {
          found = execute(expression, text, found.index + 1)
        }
        if (found === null) return undefined
        const texts: readonly (string | undefined)[] = found
        const start = found.index
        return {
          start,
          end: start + found[0].length,
          group: (index) => texts[numberOf(index)],
        }
      },
    }),
  }
}

function execute(expression: RegExp, text: string, from: number): RegExpExecArray | null {
  expression.lastIndex = from
  return expression.exec(text)
}

function isInsidePair(text: string, position: number): boolean {
  return position > 0 && (text.codePointAt(position - 1) ?? 0) > 0xffff
}

/** The groups of the written expression. */
interface Groups {
  count: number
  /** Their numbers by those of the pattern's groups. */
  readonly written: Map<number, number>
}

function compile(source: string): RegExp | undefined {
  try {
    return new RegExp(source, 'gv')
  } catch {
    return undefined
  }
}

function writeNode(node: Node, groups: Groups): string {
  const write = (part: Node) => writeNode(part, groups)
  switch (node.kind) {
    case 'set':
      return writeSet(node.set)
    case 'sequence':
      return node.parts.map(write).join('')
    case 'alternation':
      return `(?:${node.branches.map(write).join('|')})`
    case 'group':
      if (node.index === undefined) return `(?:${write(node.body)})`
      groups.written.set(node.index, ++groups.count)
      return `(${write(node.body)})`
    case 'repeat':
      if (node.mode !== 'possessive') return writeRepeat(node, write)
      return writeAtomic(groups, () => writeRepeat(node, write))
    case 'assertion':
      return writeAssertion(node.assertion)
    case 'look':
      return `(?${node.ahead ? '' : '<'}${node.negative ? '!' : '='}${write(node.body)})`
    case 'atomic':
      return writeAtomic(groups, () => write(node.body))
    case 'backreference': {
      const number = groups.written.get(node.index)
      return number === undefined ? noCharacter : `(?:\\${number})`
    }
    default:
      return unreachable(node)
  }
}

function writeAtomic(groups: Groups, writeBody: () => string): string {
  const number = ++groups.count
  return `(?:(?=(${writeBody()}))\\${number})`
}

function writeRepeat(
  { body, min, max, mode }: Extract<Node, { kind: 'repeat' }>,
  write: (part: Node) => string,
): string {
  const most = max === Number.POSITIVE_INFINITY ? '' : max
  return `(?:${write(body)}){${min},${most}}${mode === 'lazy' ? '?' : ''}`
}

/** An empty class: a reference to an unknown group never matches. */
const noCharacter = '[]'

function writeSet(set: CodePointSet): string {
  let ranges = ''
  for (let at = 0; at < set.length; at += 2) {
    const [from, to] = [set[at] ?? 0, set[at + 1] ?? 0]
    ranges += `\\u{${from.toString(16)}}-\\u{${to.toString(16)}}`
  }
  return `[${ranges}]`
}

const terminator = '[\\n\\r\\u0085\\u2028\\u2029]'

function writeAssertion(assertion: Assertion): string {
  switch (assertion) {
    case 'textStart':
      return '(?:^)'
    case 'textEnd':
      return '(?:$)'
    case 'finalEnd':
      return `(?:(?<!\\r(?=\\n))(?=(?:\\r\\n|${terminator})?$))`
    case 'finalEndUnix':
      return '(?=\\n?$)'
    case 'lineStart':
      return '(?:(?:^|(?<=[\\n\\u0085\\u2028\\u2029]|\\r(?!\\n)))(?!$))'
    case 'lineStartUnix':
      return '(?:(?:^|(?<=\\n))(?!$))'
    case 'lineEnd':
      return `(?:(?<!\\r(?=\\n))(?=${terminator}|$))`
    case 'lineEndUnix':
      return '(?=\\n|$)'
    case 'afterLineBreak':
      return '(?<!\\r(?=\\n))'
    case 'wordBoundary':
      return `(?:${writeBoundary('[\\p{L}\\p{Nd}_]')})`
    case 'notWordBoundary':
      return `(?!${writeBoundary('[\\p{L}\\p{Nd}_]')})`
    case 'wordBoundaryUnicode':
      return `(?:${writeBoundary(unicodeWord)})`
    case 'notWordBoundaryUnicode':
      return `(?!${writeBoundary(unicodeWord)})`
    case 'searchStart':
      throw new Error('RegExp has no \\G') // refused by the reader
    default:
      return unreachable(assertion)
  }
}

const unicodeWord = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d]'

/** A combining mark belongs to the word when its base is a letter or digit. */
function writeBoundary(word: string): string {
  const base = '[\\p{L}\\p{Nd}]'
  const before = `${word}|${base}\\p{Mn}+`
  const after = `${word}|(?<=${base}\\p{Mn}*)\\p{Mn}`
  return `(?<=${before})(?!${after})|(?<!${before})(?=${after})`
}
