/**
 * What a statement must be besides well formed: functions exist and have come with the version,
 * variables are set before they are used, the topic filter is one. The first fault is thrown.
 */
import type {
  Assignment,
  Call,
  Cast,
  Expression,
  Item,
  Query,
  Selection,
  Statement,
} from './ast.ts'
import { castKeywords } from './conversions.ts'
import type { Dialect } from './dialect.ts'
import { findFunction, functionTable } from './functions/table.ts'
import { closestName } from './suggestion.ts'
import { syntaxError } from './syntax-error.ts'
import { topicFilterProblem } from './topic-filter.ts'

const variablesMax = 10
const variableNameMax = 64
const secondVersion = '2016-03-23'
const aggregates: ReadonlySet<string> = new Set(['COUNT', 'SUM', 'AVG', 'MIN', 'MAX'])

interface Check {
  readonly text: string
  readonly dialect: Dialect
  /** The variables that are set so far. */
  readonly declared: Set<string>
}

/** @throws SluiceError SqlParseException */
export function checkStatement(statement: Statement, text: string, dialect: Dialect): void {
  const check: Check = { text, dialect, declared: new Set() }
  for (const assignment of statement.assignments) checkAssignment(assignment, check)
  checkSelection(statement.selection, check)
  if (statement.topicFilter !== undefined) {
    const { text: filter, at } = statement.topicFilter
    const found = topicFilterProblem(filter)
    if (found !== undefined) throw syntaxError(text, at + 1 + found.at, found.problem)
  }
  if (statement.where !== undefined) checkExpression(statement.where, check)
}

/** @throws SluiceError SqlParseException, with line and column within `text` */
export function checkTemplateExpression(
  expression: Expression,
  text: string,
  dialect: Dialect,
  variables: Iterable<string>,
): void {
  checkExpression(expression, { text, dialect, declared: new Set(variables) })
}

function checkAssignment({ name, value, at }: Assignment, check: Check): void {
  const { text, declared } = check
  if (declared.has(name)) throw syntaxError(text, at, `@${name} is set twice`)
  if (declared.size === variablesMax) {
    throw syntaxError(text, at, `a statement sets at most ${variablesMax} variables`)
  }
  if (name.length > variableNameMax) {
    throw syntaxError(text, at, `the name of a variable has at most ${variableNameMax} characters`)
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

/** Its depth is the depth of the text's brackets, which the parser bounds. */
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
      checkFunction(expression, check)
      return all(expression.arguments)
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

function needSecondVersion(at: number, feature: string, { text, dialect }: Check): void {
  if (dialect.isSecondVersion) return
  throw syntaxError(
    text,
    at,
    `${feature} needs SQL version ${secondVersion}; this rule has ${dialect.version}`,
  )
}

function checkVariable(name: string, at: number, { text, declared }: Check): void {
  if (declared.has(name)) return
  const near = closestName(name, declared)
  const hint = near === undefined ? '' : `: did you mean @${near}?`
  throw syntaxError(text, at, `the variable @${name} is not set before its use${hint}`)
}

function checkFunction({ name, at, arguments: values }: Call, check: Check): void {
  const spec = findFunction(name)
  if (spec === undefined) {
    if (aggregates.has(name.toUpperCase())) {
      const problem = `${name}() is not part of AWS IoT SQL: a rule sees one message at a time`
      throw syntaxError(check.text, at, problem)
    }
    const known = [...functionTable.values()].map((each) => each.name)
    const near = closestName(name, [...known, 'cast'])
    const hint = near === undefined ? '' : `: did you mean ${near}()?`
    throw syntaxError(check.text, at, `unknown function ${name}()${hint}`)
  }
  if (spec.sinceVersion === secondVersion) needSecondVersion(at, `${spec.name}()`, check)
  const found = spec.findProblem?.(values)
  if (found !== undefined) throw syntaxError(check.text, found.at, found.problem)
}

function checkCastType({ type, typeAt }: Cast, check: Check): void {
  const keyword = castKeywords.get(type.toLowerCase())
  if (keyword === undefined) {
    const near = closestName(type, castKeywords.keys())
    const hint = near === undefined ? '' : `: did you mean ${near}?`
    throw syntaxError(check.text, typeAt, `unknown type ${type}${hint}`)
  }
  if (keyword.needsSecondVersion) needSecondVersion(typeAt, `the type ${type}`, check)
}
