/**
 * The syntax tree of a statement. Two normal forms keep the tree from being deeper than the text:
 * the `first` of a `binary` node is never a `binary` node, because its steps are applied from the
 * left, and the first operand of a `logical` node is never a `logical` node of the same operator.
 * Brackets have no node.
 */
export type UnaryOperator = '-' | '+' | 'NOT'
export type BinaryOperator =
  '+' | '-' | '*' | '/' | '%' | '=' | '<>' | '<' | '<=' | '>' | '>=' | 'IN' | 'NOT IN'
export type LogicalOperator = 'AND' | 'OR'

/** `at` is the offset in the text to which an error about the node points. */
interface Node {
  readonly at: number
}

interface NumberLiteral extends Node {
  readonly kind: 'number'
  readonly text: string
}

interface ConstantLiteral extends Node {
  readonly kind: 'constant'
  readonly value: string | boolean | null
}

export interface ArrayLiteral extends Node {
  readonly kind: 'array'
  readonly items: readonly Expression[]
}

export interface ObjectLiteral extends Node {
  readonly kind: 'object'
  readonly entries: readonly { readonly key: string; readonly value: Expression }[]
}

/** An attribute of the payload, or of the element of a nested query. */
interface Path extends Node {
  readonly kind: 'path'
  /** At least one name. */
  readonly names: readonly string[]
}

/** The whole payload, or the whole element of a nested query. */
interface Star extends Node {
  readonly kind: 'star'
}

interface Variable extends Node {
  readonly kind: 'variable'
  readonly name: string
}

/** `.names` after an expression: `@v.a.b`, `get(x, 0).a`, `(SELECT ...).a`. */
interface Member extends Node {
  readonly kind: 'member'
  readonly object: Expression
  readonly names: readonly string[]
}

export interface Call extends Node {
  readonly kind: 'call'
  /** The name as written. Functions are found in any letter case. */
  readonly name: string
  readonly arguments: readonly Expression[]
}

export interface Cast extends Node {
  readonly kind: 'cast'
  readonly value: Expression
  readonly type: string
  readonly typeAt: number
}

export interface Unary extends Node {
  readonly kind: 'unary'
  readonly operator: UnaryOperator
  readonly operand: Expression
}

export interface BinaryStep {
  readonly operator: BinaryOperator
  readonly operand: Expression
}

/** `((first op operand) op operand) ...` with at least one step. */
export interface Binary extends Node {
  readonly kind: 'binary'
  readonly first: Expression
  readonly steps: readonly BinaryStep[]
}

export interface Logical extends Node {
  readonly kind: 'logical'
  readonly operator: LogicalOperator
  /** At least two operands, evaluated from the left. */
  readonly operands: readonly Expression[]
}

export interface CaseBranch {
  readonly when: Expression
  readonly result: Expression
}

export interface Case extends Node {
  readonly kind: 'case'
  readonly subject: Expression
  readonly branches: readonly CaseBranch[]
  readonly otherwise: Expression | undefined
}

export interface Exists extends Node {
  readonly kind: 'exists'
  readonly query: Query
}

export interface Subselect extends Node {
  readonly kind: 'subselect'
  readonly query: Query
}

export type Expression =
  | NumberLiteral
  | ConstantLiteral
  | ArrayLiteral
  | ObjectLiteral
  | Path
  | Star
  | Variable
  | Member
  | Call
  | Cast
  | Unary
  | Binary
  | Logical
  | Case
  | Exists
  | Subselect

/** One item of SELECT. */
export type Item =
  /** `*`: all members of the payload. */
  | { readonly kind: 'all'; readonly at: number }
  /**
   * `a.b.*`, or an object literal without alias: the members of the object become members of the
   * output. Any other value adds nothing.
   */
  | { readonly kind: 'spread'; readonly at: number; readonly expression: Expression }
  | {
      readonly kind: 'named'
      readonly at: number
      readonly expression: Expression
      /** The path in the output: `AS a.b` is ['a', 'b']. */
      readonly target: readonly string[]
    }

/** The output of SELECT: an object of items, or one value. */
export type Selection =
  | { readonly kind: 'items'; readonly items: readonly Item[] }
  | { readonly kind: 'value'; readonly expression: Expression }

/** A SELECT inside an expression. */
export interface Query extends Node {
  readonly selection: Selection
  readonly source: Expression
  /** `AS alias`: the name of the element inside the query. */
  readonly alias: string | undefined
  readonly where: Expression | undefined
}

export interface Assignment extends Node {
  readonly name: string
  readonly value: Expression
}

export interface Statement {
  readonly assignments: readonly Assignment[]
  readonly selection: Selection
  readonly topicFilter: { readonly text: string; readonly at: number } | undefined
  readonly where: Expression | undefined
}
