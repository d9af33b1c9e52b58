/**
 * Orders operators with node-sql-parser. This is the only file that imports the library.
 *
 * The library never sees the text of a rule. A run of operators between brackets is passed as a
 * shape in which every operand is the same placeholder (`NOT '' >= '' + '' * ''`), and the
 * resulting tree is filled with the operands from left to right. `==` and `!=` of its dialect have
 * the precedence of comparisons and no other use here, so they stand for IN and NOT IN. AND, OR and
 * brackets are never passed: the library associates AND and OR wrongly and takes exponential time
 * for brackets.
 */
import sqlite from 'node-sql-parser/build/sqlite.js'
import type { BinaryOperator, BinaryStep, Expression, UnaryOperator } from './ast.ts'
import { unreachable } from '../../base/unreachable.ts'

/** A run of operators: prefixes, operands and binary operators in the order of the text. */
export type RunPart =
  | { readonly kind: 'prefix'; readonly operator: UnaryOperator; readonly at: number }
  | { readonly kind: 'operator'; readonly operator: BinaryOperator; readonly at: number }
  | { readonly kind: 'operand'; readonly expression: Expression }

/** Orders a run. Undefined when the library cannot, because the run is too long or invalid. */
export type OperatorReader = (run: readonly RunPart[]) => Expression | undefined

type ShapeTree =
  | { readonly kind: 'operand' }
  | { readonly kind: 'prefix'; readonly operand: ShapeTree }
  | { readonly kind: 'chain'; readonly first: ShapeTree; readonly rest: readonly ShapeTree[] }

/** The placeholder: the operand that the library parses fastest. */
const placeholder = "''"
const spellings: Readonly<Record<BinaryOperator, string>> = {
  '+': '+',
  '-': '-',
  '*': '*',
  '/': '/',
  '%': '%',
  '=': '=',
  '<>': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
  IN: '==',
  'NOT IN': '!=',
}
const binarySpellings: ReadonlySet<string> = new Set(Object.values(spellings))
const unarySpellings: ReadonlySet<string> = new Set<UnaryOperator>(['NOT', '-', '+'])

/** Makes the function for one text. It calls the library once for each shape in the text. */
export function createOperatorReader(): OperatorReader {
  const parser = new sqlite.Parser()
  const trees = new Map<string, ShapeTree>()

  function treeOf(shape: string): ShapeTree | undefined {
    const known = trees.get(shape)
    if (known !== undefined) return known
    try {
      const tree = readShape(parser.parse(`SELECT ${shape}`).ast)
      trees.set(shape, tree)
      return tree
    } catch {
      return undefined // its own complaint is about placeholders: of no use to a reader
    }
  }

  return (run) => {
    const tree = treeOf(run.map(spellingOf).join(' '))
    return tree === undefined ? undefined : fill(tree, run.values())
  }
}

function spellingOf(part: RunPart): string {
  if (part.kind === 'operand') return placeholder
  return part.kind === 'prefix' ? part.operator : spellings[part.operator]
}

/** The library's tree of `SELECT <shape>`, with every node checked. */
function readShape(ast: unknown): ShapeTree {
  const select = Array.isArray(ast) && ast.length === 1 ? (ast[0] as unknown) : ast
  const { type, columns } = record(select)
  if (type !== 'select' || !Array.isArray(columns) || columns.length !== 1) throw notAsExpected()
  const column = record(columns[0])
  if (column['as'] !== null) throw notAsExpected()
  return readNode(column['expr'])
}

function readNode(value: unknown): ShapeTree {
  const rights: unknown[] = []
  let node = record(value)
  // A loop walks the left side, which is as long as the run. Recursion is as deep as precedence.
  while (node['type'] === 'binary_expr') {
    if (!binarySpellings.has(String(node['operator']))) throw notAsExpected()
    rights.push(node['right'])
    node = record(node['left'])
  }
  const first = readInnermost(node)
  return rights.length === 0
    ? first
    : { kind: 'chain', first, rest: rights.toReversed().map(readNode) }
}

function readInnermost(node: Readonly<Record<string, unknown>>): ShapeTree {
  if (node['parentheses'] === true) throw notAsExpected()
  if (node['type'] === 'unary_expr' && unarySpellings.has(String(node['operator']))) {
    return { kind: 'prefix', operand: readNode(node['expr']) }
  }
  if (node['type'] === 'single_quote_string' && node['value'] === '') return { kind: 'operand' }
  throw notAsExpected()
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw notAsExpected()
  return value as Readonly<Record<string, unknown>>
}

function notAsExpected(): Error {
  return new Error('node-sql-parser answered with a node that a run of operators cannot give')
}

/** Hands out the parts in the order of the text, which is also the order of the nodes. */
function fill(tree: ShapeTree, parts: Iterator<RunPart>): Expression {
  switch (tree.kind) {
    case 'operand': {
      const part = take(parts)
      if (part.kind !== 'operand') throw notAsExpected()
      return part.expression
    }
    case 'prefix': {
      const part = take(parts)
      if (part.kind !== 'prefix') throw notAsExpected()
      return {
        kind: 'unary',
        at: part.at,
        operator: part.operator,
        operand: fill(tree.operand, parts),
      }
    }
    case 'chain': {
      const first = fill(tree.first, parts)
      const steps: BinaryStep[] = []
      let at = 0
      for (const right of tree.rest) {
        const part = take(parts)
        if (part.kind !== 'operator') throw notAsExpected()
        at = part.at
        steps.push({ operator: part.operator, operand: fill(right, parts) })
      }
      return first.kind === 'binary'
        ? { kind: 'binary', at, first: first.first, steps: [...first.steps, ...steps] }
        : { kind: 'binary', at, first, steps }
    }
    default:
      return unreachable(tree)
  }
}

function take(parts: Iterator<RunPart>): RunPart {
  const step = parts.next()
  if (step.done === true) throw notAsExpected()
  return step.value
}
