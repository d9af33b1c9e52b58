/**
 * Checks a well-formed statement: its functions exist in its SQL version, variables are set before
 * they are used, and the topic filter is valid. All faults are found.
 */
import { findTopicFilterFault } from '../topics/topic-filter.ts'
import type { TopicLimits } from '../topics/topic-filter.ts'
import type {
  Assignment,
  Call,
  Cast,
  Expression,
  Item,
  Query,
  Selection,
  Statement,
} from './parser/ast.ts'
import { castKeywords } from './values/conversions.ts'
import type { Dialect } from './values/dialect.ts'
import type { SqlFunction } from './functions/function.ts'
import { findFunction, functionTable } from './functions/table.ts'
import { closestName } from '../base/closest-name.ts'
import { SluiceError } from '../base/errors.ts'
import { findUnmatchedFilter } from '../topics/unmatched-filter.ts'
import { syntaxError } from './parser/syntax-error.ts'
import { uncertainPointsOf, uncertainPointsOfExpression } from './uncertain-points.ts'
import type { UncertainPoint } from './uncertain-points.ts'

const variablesMax = 10
const variableNameMax = 64
/** Warnings of one rule. */
const warningsMax = 100
const secondVersion = '2016-03-23'
const aggregates: ReadonlySet<string> = new Set(['COUNT', 'SUM', 'AVG', 'MIN', 'MAX'])
/** Functions of the AWS IoT guide that Sluice will not have, by their names in lower case. */
const closedFunctions: ReadonlyMap<string, string> = new Map([
  ['machinelearning_predict', 'AWS has closed Amazon Machine Learning'],
])

interface Check {
  readonly text: string
  readonly dialect: Dialect
  /** The variables that have been set so far. */
  readonly declared: Set<string>
  readonly takesAnyVariable: boolean
  /** The names of the external functions called so far, one for each call. */
  readonly externalCalls: string[]
  readonly isTemplate: boolean
  /** Warnings about parts that have no effect and are accepted all the same. */
  readonly warnings: string[]
  readonly faults: Fault[]
}

interface Fault {
  readonly at: number
  readonly problem: string
}

/** Faults of one text that are shown with the line: a message lists no more. */
const shownFaultsMax = 20

/** The facts of a statement that its templates depend on. */
export interface CheckedStatement {
  /** Undefined for a statement that cannot be read: any variable may be set in it. */
  readonly variables: Iterable<string> | undefined
  /** The names of the external functions that the statement calls, one for each call. */
  readonly externalCalls: readonly string[]
  /**
   * Parts without effect that AWS IoT accepts, with line, column and caret. Templates add theirs.
   */
  readonly warnings: string[]
}

/** @param faults gets a SqlParseException for each fault */
export function checkStatement(
  statement: Statement,
  text: string,
  dialect: Dialect,
  {
    topicLimits,
    faults,
  }: { readonly topicLimits?: TopicLimits | undefined; readonly faults: SluiceError[] },
): CheckedStatement {
  const declared = new Set<string>()
  const externalCalls: string[] = []
  const warnings: string[] = []
  const shared = { text, dialect, externalCalls, warnings, faults: [] }
  const check: Check = { ...shared, declared, takesAnyVariable: false, isTemplate: false }
  for (const assignment of statement.assignments) checkAssignment(assignment, check)
  checkSelection(statement.selection, check)
  if (statement.topicFilter !== undefined) {
    const { text: filter, at } = statement.topicFilter
    const found = findTopicFilterFault(filter, topicLimits)
    if (found !== undefined) report(check, at + 1 + found.at, found.problem)
    const unmatched = findUnmatchedFilter(filter)
    if (unmatched !== undefined) addWarning(warnings, syntaxError(text, at, unmatched).message)
  }
  if (statement.where !== undefined) checkExpression(statement.where, check)
  addUncertainPoints(uncertainPointsOf(statement, text, dialect), check)
  faults.push(...errorsOf(check))
  return { variables: declared, externalCalls, warnings }
}

/**
 * @param faults gets a SqlParseException for each fault, with line and column within `text`
 * @returns whether the expression calls external functions
 */
export function checkTemplateExpression(
  expression: Expression,
  text: string,
  dialect: Dialect,
  { statement, faults }: { readonly statement: CheckedStatement; readonly faults: SluiceError[] },
): boolean {
  const { variables, warnings } = statement
  const externalCalls = [...statement.externalCalls]
  const shared = { text, dialect, externalCalls, warnings, faults: [] }
  const declared = new Set(variables)
  const takesAnyVariable = variables === undefined
  const check: Check = { ...shared, declared, takesAnyVariable, isTemplate: true }
  checkExpression(expression, check)
  addUncertainPoints(uncertainPointsOfExpression(expression, text, dialect), check)
  faults.push(...errorsOf(check))
  return externalCalls.length > statement.externalCalls.length
}

function report({ faults }: Check, at: number, problem: string): void {
  faults.push({ at, problem })
}

/** In the order of the text. */
function errorsOf({ text, faults }: Check): readonly SluiceError[] {
  return faults
    .toSorted((one, other) => one.at - other.at)
    .map(({ at, problem }, index) =>
      index < shownFaultsMax
        ? syntaxError(text, at, problem)
        : new SluiceError('SqlParseException', problem),
    )
}

/**
 * Adds a warning, unless it is there: templates are compiled against a statement that stays, such
 * as those of a request to evaluate a rule in force.
 */
export function addWarning(warnings: string[], warning: string): void {
  if (warnings.length < warningsMax && !warnings.includes(warning)) warnings.push(warning)
}

function addUncertainPoints(
  points: readonly UncertainPoint[],
  { text, warnings }: Pick<Check, 'text' | 'warnings'>,
): void {
  for (const { at, problem } of points) {
    if (warnings.length === warningsMax) return
    addWarning(warnings, syntaxError(text, at, problem).message)
  }
}

function checkAssignment({ name, value, at }: Assignment, check: Check): void {
  const { declared } = check
  if (declared.has(name)) report(check, at, `@${name} is set twice`)
  if (declared.size === variablesMax) {
    report(check, at, `a statement can set at most ${variablesMax} variables`)
  }
  if (name.length > variableNameMax) {
    report(check, at, `the name of a variable can have at most ${variableNameMax} characters`)
  }
  checkExpression(value, check)
  declared.add(name)
}

function checkSelection(selection: Selection, check: Check): void {
  if (selection.kind === 'value') checkExpression(selection.expression, check)
  else for (const item of selection.items) checkItem(item, check)
}

function checkItem(item: Item, check: Check): void {
  if (item.kind !== 'all') checkExpression(item.expression, check)
}

function checkQuery(query: Query, check: Check): void {
  needSecondVersion(query.at, 'a nested query', check)
  checkExpression(query.source, check)
  checkSelection(query.selection, check)
  if (query.where !== undefined) checkExpression(query.where, check)
}

/** The recursion is as deep as the brackets of the text, which the parser bounds. */
function checkExpression(expression: Expression, check: Check): void {
  const all = (parts: readonly Expression[]) => {
    for (const part of parts) checkExpression(part, check)
  }
  switch (expression.kind) {
    case 'number':
    case 'constant':
    case 'path':
    case 'star':
      return
    case 'array':
      needSecondVersion(expression.at, 'an array literal', check)
      return all(expression.items)
    case 'object':
      needSecondVersion(expression.at, 'an object literal', check)
      return all(expression.entries.map((entry) => entry.value))
    case 'variable':
      return checkVariable(expression.name, expression.at, check)
    case 'member':
      return checkExpression(expression.object, check)
    case 'call':
      return checkCall(expression, check)
    case 'cast':
      checkCastType(expression, check)
      return checkExpression(expression.value, check)
    case 'unary':
      return checkExpression(expression.operand, check)
    case 'binary':
      checkExpression(expression.first, check)
      return all(expression.steps.map((step) => step.operand))
    case 'logical':
      return all(expression.operands)
    case 'case':
      checkExpression(expression.subject, check)
      all(expression.branches.flatMap((branch) => [branch.when, branch.result]))
      return expression.otherwise === undefined ? undefined : all([expression.otherwise])
    case 'exists':
    case 'subselect':
      return checkQuery(expression.query, check)
  }
}

function needSecondVersion(at: number, feature: string, check: Check): void {
  const { dialect } = check
  if (dialect.isSecondVersion) return
  report(
    check,
    at,
    `${feature} needs SQL version ${secondVersion}; this rule has ${dialect.version}`,
  )
}

function checkVariable(name: string, at: number, check: Check): void {
  const { declared, takesAnyVariable } = check
  if (takesAnyVariable || declared.has(name)) return
  const near = closestName(name, declared)
  const hint = near === undefined ? '' : `: did you mean @${near}?`
  report(check, at, `the variable @${name} is not set before its use${hint}`)
}

function checkCall(call: Call, check: Check): void {
  const spec = checkFunction(call, check)
  const [first, ...others] = call.arguments
  if (first !== undefined) checkExpression(first, check)
  const callsBefore = check.externalCalls.length
  for (const value of others) {
    checkExpression(value, check)
    if (!spec?.toleratesFailure || check.externalCalls.length === callsBefore) continue
    const problem = `the default of ${spec.name}() cannot call an external function`
    report(check, value.at, problem)
  }
}

function checkExternalCall({ at, arguments: values }: Call, spec: SqlFunction, check: Check): void {
  const call = spec.externalCall?.(values)
  if (call === undefined) return
  if (call.isRefusedInTemplates && check.isTemplate) {
    return report(check, at, `this form of ${spec.name}() cannot stand in a template`)
  }
  const count = check.externalCalls.filter((name) => name === spec.name).length
  if (count === call.writtenMax) {
    const often = count === 1 ? 'once' : `${count} times`
    const where = call.onceIn ?? 'a statement'
    report(check, at, `${spec.name}() can be called at most ${often} in ${where}`)
  }
  check.externalCalls.push(spec.name)
}

function checkFunction(call: Call, check: Check): SqlFunction | undefined {
  const { name, at, arguments: values } = call
  const spec = findFunction(name)
  if (spec === undefined) {
    report(check, at, unknownFunctionText(name))
    return undefined
  }
  if (spec.sinceVersion === secondVersion) needSecondVersion(at, `${spec.name}()`, check)
  const found = spec.findProblem?.(values, check.dialect)
  if (found !== undefined) {
    const { at: place, problem, isWarning } = found
    if (!isWarning) report(check, place, problem)
    else addWarning(check.warnings, syntaxError(check.text, place, problem).message)
  }
  warnOfCount(call, spec, check)
  checkExternalCall(call, spec, check)
  return spec
}

function unknownFunctionText(name: string): string {
  const closed = closedFunctions.get(name.toLowerCase())
  if (closed !== undefined) return `${name.toLowerCase()}() cannot be used: ${closed}`
  if (aggregates.has(name.toUpperCase())) {
    return `${name}() is not part of AWS IoT SQL: a rule sees one message at a time`
  }
  const known = [...functionTable.values()].map((each) => each.name)
  const near = closestName(name, [...known, 'cast'])
  const hint = near === undefined ? '' : `: did you mean ${near}()?`
  return `unknown function ${name}()${hint}`
}

/** Warns of a wrong number of arguments: such a call is Undefined (AWS's page on data types). */
function warnOfCount({ at, arguments: values }: Call, spec: SqlFunction, check: Check): void {
  const [fewest, most] = spec.arity
  if (values.length >= fewest && values.length <= most) return
  const taken = most === fewest ? `${most}` : `${fewest} to ${most}`
  const noun = most === 1 ? 'argument' : 'arguments'
  const problem = `${spec.name}() takes ${taken} ${noun}; with ${values.length} it is Undefined`
  addWarning(check.warnings, syntaxError(check.text, at, problem).message)
}

function checkCastType({ type, typeAt }: Cast, check: Check): void {
  const keyword = castKeywords.get(type.toLowerCase())
  if (keyword === undefined) {
    const near = closestName(type, castKeywords.keys())
    const hint = near === undefined ? '' : `: did you mean ${near}?`
    return report(check, typeAt, `unknown type ${type}${hint}`)
  }
  if (keyword.needsSecondVersion) needSecondVersion(typeAt, `the type ${type}`, check)
}
