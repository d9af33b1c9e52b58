/** Compiles expressions to closures. The recursion is as deep as the brackets of the text. */
import { negate, operationOf } from '../values/arithmetic.ts'
import type {
  ArrayLiteral,
  Binary,
  Call,
  Cast,
  Exists,
  Expression,
  ObjectLiteral,
  Subselect,
  Unary,
} from '../parser/ast.ts'
import { cast, castKeywords, spendDigits, toBoolean, toDecimal } from '../values/conversions.ts'
import type { Dialect } from '../values/dialect.ts'
import {
  CallFailed,
  drawnOnce,
  eachSibling,
  externalCallsOf,
  undefinedOnFailure,
  valuesOfSiblings,
} from './external-calls.ts'
import type { ExternalCall, Implementation } from '../functions/function.ts'
import { findFunction } from '../functions/table.ts'
import { numberFromText } from '../values/numbers.ts'
import { isObject, memberOf } from '../values/values.ts'
import type { Value } from '../values/values.ts'
import { placeOf } from '../externals/frame.ts'
import type { Evaluate, Frame, Surroundings } from '../externals/frame.ts'
import { compileCase, compileLogical } from './logical.ts'
import { unreachable } from '../../base/unreachable.ts'
import { spend } from '../values/work.ts'
import type { WorkPlace } from '../values/work.ts'

/** Compiles the expressions that hold a nested query. */
type QueryCompiler = (expression: Subselect | Exists, around: Surroundings) => Evaluate

/**
 * Compiles an expression.
 *
 * @param compileQuery compiles nested queries, which contain expressions in turn
 */
export function compileExpression(
  expression: Expression,
  around: Surroundings,
  compileQuery: QueryCompiler,
): Evaluate {
  const compile = (part: Expression) => compileExpression(part, around, compileQuery)
  switch (expression.kind) {
    case 'number': {
      const value = numberFromText(expression.text)
      return () => value
    }
    case 'constant': {
      const { value } = expression
      return () => value
    }
    case 'array':
      return compileArray(expression, around, compile)
    case 'object':
      return compileObject(expression, around, compile)
    case 'path':
      return compilePath(expression.names, around)
    case 'star':
      return compileStar(around)
    case 'variable':
      return compileVariable(expression.name, around)
    case 'member':
      return compileMember(compile(expression.object), expression.names)
    case 'call':
      return compileCall(expression, around, compile)
    case 'cast':
      return compileCast(expression, around, compile)
    case 'unary':
      return compileUnary(expression, around, compile)
    case 'binary':
      return compileBinary(expression, around, compile)
    case 'logical':
      return compileLogical(expression, compile)
    case 'case':
      return compileCase(expression, around, compile)
    case 'exists':
    case 'subselect':
      return compileQuery(expression, around)
    default:
      return unreachable(expression)
  }
}

type Compile = (part: Expression) => Evaluate

/** Undefined items are left out. */
function compileArray(
  { items }: ArrayLiteral,
  { isResumed }: Surroundings,
  compile: Compile,
): Evaluate {
  const evaluates = items.map(compile)
  if (isResumed) {
    return (frame) => valuesOfSiblings(evaluates, frame).filter((value) => value !== undefined)
  }
  return (frame) => {
    const values: Value[] = []
    for (const evaluate of evaluates) {
      const value = evaluate(frame)
      if (value !== undefined) values.push(value)
    }
    return values
  }
}

/** Members that are Undefined are left out. */
function compileObject(
  { entries }: ObjectLiteral,
  { isResumed }: Surroundings,
  compile: Compile,
): Evaluate {
  const writers = entries.map((entry) => {
    const evaluate = compile(entry.value)
    return (frame: Frame, members: Map<string, Value>) => {
      const value = evaluate(frame)
      if (value !== undefined) members.set(entry.key, value)
    }
  })
  return (frame) => {
    const members = new Map<string, Value>()
    if (isResumed) eachSibling(writers, frame.state, (write) => write(frame, members))
    else for (const write of writers) write(frame, members)
    return members
  }
}

function compileVariable(name: string, around: Surroundings): Evaluate {
  const index = around.variables.get(name)
  if (index === undefined) return () => undefined // the checker has refused it
  return (frame) => frame.variables.valueAt(index, frame)
}

function compileCall(call: Call, around: Surroundings, compile: Compile): Evaluate {
  const spec = findFunction(call.name)
  const [fewest, most] = spec?.arity ?? [0, 0]
  const count = call.arguments.length
  if (spec === undefined || count < fewest || count > most) return () => undefined
  const { payloadImplementation } = spec
  const [first, ...others] = call.arguments
  const isPayload = first?.kind === 'star' && around.aliases.length === 0
  const application: Application = {
    dialect: around.dialect,
    isResumed: around.isResumed,
    steps: spec.steps ?? 1,
    place: placeOf(around, `${spec.name}()`, call.at),
  }
  const external = spec.externalCall?.(call.arguments)
  if (external !== undefined) {
    const evaluates = call.arguments.map(compile)
    return compileExternalCall(
      external,
      { name: spec.name, evaluates, isPayload, application },
      around,
    )
  }
  if (payloadImplementation !== undefined && isPayload) {
    const evaluates = [() => undefined, ...others.map(compile)]
    return compileApplication(payloadImplementation, evaluates, application)
  }
  const evaluates = call.arguments.map(compile)
  if (spec.toleratesFailure && around.isResumed)
    evaluates.splice(0, 1, ...evaluates.slice(0, 1).map(undefinedOnFailure))
  const implementation = spec.prepare?.(call.arguments, around.dialect) ?? spec.implementation
  const evaluate = compileApplication(implementation, evaluates, application)
  return spec.isRandom && around.isResumed ? drawnOnce(evaluate) : evaluate
}

/** Starts an external call, or looks up its result: see external-calls.ts. */
function compileExternalCall(
  { request, payloadRequest, onceIn }: ExternalCall,
  {
    name,
    evaluates,
    isPayload,
    application,
  }: {
    readonly name: string
    readonly evaluates: readonly Evaluate[]
    readonly isPayload: boolean
    readonly application: Application
  },
  { dialect, isTemplate }: Surroundings,
): Evaluate {
  const isOnce = onceIn === 'the rule' || !isTemplate
  const site = { onceIn: isOnce ? onceIn : undefined }
  const makeRequest = (isPayload ? payloadRequest : undefined) ?? request
  return (frame) => {
    const values = valuesOfSiblings(evaluates, frame)
    begin(frame, application)
    const asked = makeRequest(values, frame, dialect)
    if (asked === undefined) return undefined
    if ('problem' in asked) throw new CallFailed(name, asked.problem)
    return externalCallsOf(frame).resultOf(site, asked, frame.state)
  }
}

interface Application {
  readonly dialect: Dialect
  readonly isResumed: boolean
  /** The steps of each call, whatever its arguments are. */
  readonly steps: number
  readonly place: WorkPlace
}

/** @throws WorkSpent */
function begin({ state }: Frame, { steps, place }: Application): void {
  state.place = place
  spend(state, steps)
}

/** Written out for the usual numbers of arguments, which saves a closure per value. */
function compileApplication(
  implementation: Implementation,
  evaluates: readonly Evaluate[],
  application: Application,
): Evaluate {
  const { dialect, isResumed } = application
  if (isResumed) {
    return (frame) => {
      const values = valuesOfSiblings(evaluates, frame)
      begin(frame, application)
      return implementation(values, frame, dialect)
    }
  }
  const [first, second, third] = evaluates
  if (first === undefined) {
    return (frame) => {
      begin(frame, application)
      return implementation([], frame, dialect)
    }
  }
  if (second === undefined) {
    return (frame) => {
      const values = [first(frame)]
      begin(frame, application)
      return implementation(values, frame, dialect)
    }
  }
  if (third === undefined) {
    return (frame) => {
      const values = [first(frame), second(frame)]
      begin(frame, application)
      return implementation(values, frame, dialect)
    }
  }
  return (frame) => {
    const values = evaluates.map((evaluate) => evaluate(frame))
    begin(frame, application)
    return implementation(values, frame, dialect)
  }
}

function compileCast(node: Cast, around: Surroundings, compile: Compile): Evaluate {
  const { dialect } = around
  const keyword = castKeywords.get(node.type.toLowerCase())
  if (keyword === undefined) return () => undefined // the checker has refused it
  const evaluate = compile(node.value)
  const place = placeOf(around, 'cast()', node.at)
  return (frame) => {
    const value = evaluate(frame)
    frame.state.place = place
    return cast(value, keyword.type, dialect, frame.state)
  }
}

function compileUnary(
  { operator, operand, at }: Unary,
  around: Surroundings,
  compile: Compile,
): Evaluate {
  const evaluate = compile(operand)
  if (operator === 'NOT') {
    return (frame) => {
      const value = toBoolean(evaluate(frame))
      return value === undefined ? undefined : !value
    }
  }
  const place = placeOf(around, `'${operator}'`, at)
  const apply = operator === '-' ? negate : toDecimal
  return (frame) => {
    const value = evaluate(frame)
    frame.state.place = place
    spendDigits(frame.state, value)
    return apply(value)
  }
}

/** Evaluates from the left in a loop, because a statement may add hundreds of terms. */
function compileBinary(node: Binary, around: Surroundings, compile: Compile): Evaluate {
  const first = compile(node.first)
  const steps = node.steps.map(({ operator, operand }) => ({
    operation: operationOf(operator, around.dialect),
    evaluate: compile(operand),
    place: placeOf(around, `'${operator}'`, node.at),
  }))
  if (around.isResumed) {
    const operands = [first, ...steps.map(({ evaluate }) => evaluate)]
    return (frame) => {
      const [value, ...others] = valuesOfSiblings(operands, frame)
      return steps.reduce((left, { operation, place }, index) => {
        frame.state.place = place
        return operation(left, others[index], frame.state)
      }, value)
    }
  }
  const [only] = steps
  if (only !== undefined && steps.length === 1) {
    const { operation, evaluate, place } = only
    return (frame) => {
      const left = first(frame)
      const right = evaluate(frame)
      frame.state.place = place
      return operation(left, right, frame.state)
    }
  }
  return (frame) => {
    let value = first(frame)
    for (const { operation, evaluate, place } of steps) {
      const right = evaluate(frame)
      frame.state.place = place
      value = operation(value, right, frame.state)
    }
    return value
  }
}

/**
 * A path of attributes. In a nested query the first name is an alias of that query or of an outer
 * one; otherwise it is a member of the element. The payload's own attributes are hidden there.
 */
function compilePath(names: readonly string[], around: Surroundings): Evaluate {
  const [first = '', ...rest] = names
  if (around.aliases.length === 0) return compileMember(payloadOf, names)
  const level = around.aliases.lastIndexOf(first)
  if (level < 0) return compileMember(elementOf, names)
  return compileMember(elementAround(around.aliases.length - 1 - level), rest)
}

/** `*`: the whole payload (Undefined when it is binary), or in a nested query the whole element. */
export function compileStar(around: Surroundings): Evaluate {
  return around.aliases.length === 0 ? payloadOf : elementOf
}

/** `.a.b` of a value: Undefined as soon as a member is missing. */
function compileMember(evaluate: Evaluate, names: readonly string[]): Evaluate {
  const [first, second] = names
  if (first === undefined) return evaluate
  if (second === undefined) return (frame) => memberOf(evaluate(frame), first)
  if (names.length === 2) return (frame) => memberOf(memberOf(evaluate(frame), first), second)
  return (frame) => {
    let value: Value = evaluate(frame)
    for (const name of names) {
      if (!isObject(value)) return undefined
      value = value.get(name)
    }
    return value
  }
}

function payloadOf(frame: Frame): Value {
  const { document } = frame
  const payload = document.payload()
  // Metrics count messages that a rule reads as JSON and cannot.
  if (payload === undefined) document.failedReads += 1
  return payload
}

function elementOf(frame: Frame): Value {
  return frame.element
}

/** The element of the query that is `distance` levels further out. */
function elementAround(distance: number): Evaluate {
  if (distance === 0) return elementOf
  return (frame) => {
    let current: Frame | undefined = frame
    for (let count = 0; count < distance; count++) current = current?.outer
    return current?.element
  }
}
