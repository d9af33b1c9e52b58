/**
 * AWS IoT SQL, as the rest of the engine uses it.
 *
 * A statement is compiled once and evaluated many times. Evaluating never throws: a value that
 * cannot be computed is Undefined, and `failureOf` returns the failure that ended a rule.
 *
 *   const statement = compileStatement("SELECT temp FROM 'dt/+/x' WHERE temp > 50", '2016-03-23')
 *   const document = createDocument(message, environment)   // one per message, for all rules
 *   const scope = statement.openScope(document)             // one per message and rule
 *   const result = statement.evaluate(scope)                // WHERE, then SELECT
 *   const key = expression.expandText(scope)                // templates use the same scope
 *
 * External functions such as `aws_lambda()` need results from outside. `resolveExternals` therefore
 * runs an evaluation on a scope once, or again each time results have arrived:
 *
 *   const result = await resolveExternals(scope, () => statement.evaluate(scope))
 *   const failure = failureOf(scope)                        // with a failure, ignore the result
 */
import { orFault, throwFaults } from '../base/errors.ts'
import type { SluiceError } from '../base/errors.ts'
import type { TopicLimits } from '../topics/topic-filter.ts'
import type { Expression, Statement } from './parser/ast.ts'
import { addWarning, checkStatement, checkTemplateExpression } from './checker.ts'
import type { CheckedStatement } from './checker.ts'
import { isConstant } from './parser/constant.ts'
import { placeOf } from './externals/frame.ts'
import type { Frame, Surroundings } from './externals/frame.ts'
import { compileWithQueries } from './compiler/selection.ts'
import { compileEvaluation } from './compiler/statement.ts'
import type { StatementResult } from './compiler/statement.ts'
import { compileVariables, noVariables } from './compiler/variables.ts'
import type { Dialect, RegexMode } from './values/dialect.ts'
import type { MessageDocument } from './externals/document.ts'
import { catchingSignals } from './compiler/external-calls.ts'
import { writtenJson } from './values/json-writer.ts'
import { explainWhere } from './explain.ts'
import type { Hiding, WherePart } from './explain.ts'
import { parseExpressionAt, parseStatement } from './parser/statement.ts'
import { syntaxError } from './parser/syntax-error.ts'
import { sqlVersions } from './values/version.ts'
import type { SqlVersion } from './values/version.ts'
import type { Value } from './values/values.ts'
import { spend, workMax } from './values/work.ts'
import type { Work } from './values/work.ts'

export { createDocument } from './externals/document.ts'
export type { MessageDocument, SqlEnvironment, SqlMessage } from './externals/document.ts'
export type { OutputProblem, StatementResult } from './compiler/statement.ts'
export { failureOf, resolveExternals } from './compiler/external-calls.ts'
export type { EvaluationFailure } from './values/evaluation-failure.ts'
export type { CallExternal, ExternalRequest } from './externals/external-request.ts'
export type { WherePart } from './explain.ts'
export type { RegexMode } from './values/dialect.ts'
export type { SqlVersion } from './values/version.ts'

/**
 * The state of one rule on one message, shared by SELECT, WHERE, variables and templates. Opaque.
 */
export type Scope = Frame

export interface CompiledStatement {
  readonly version: SqlVersion
  /** Undefined when the statement has no FROM (Basic Ingest only). */
  readonly topicFilter: string | undefined
  /** Whether the statement itself calls external functions. Its templates may call some too. */
  readonly usesExternalFunctions: boolean
  /**
   * Parts that AWS IoT accepts although they have no effect, with line, column and caret.
   * Expressions that are compiled against the statement add theirs.
   */
  readonly warnings: readonly string[]
  /** Adds a warning about what uses the statement, such as an action. */
  warn(warning: string): void
  openScope(document: MessageDocument): Scope
  /** Evaluates WHERE and then SELECT. */
  evaluate(scope: Scope): StatementResult
  /**
   * Evaluates WHERE part by part, to explain why it is not true; undefined without one. External
   * functions are not called.
   *
   * @param hiding what of the message must not be seen; absent: all may be
   */
  explainWhere(document: MessageDocument, hiding?: Hiding): WherePart | undefined
  /**
   * Compiles an expression inside a longer text, such as `${expr}` in a template, with the
   * variables of this statement. Reading starts at `start` and ends before the first token that
   * cannot belong to the expression; `end` is the offset of that token.
   *
   * @param faults gets what is wrong with an expression that can be read, instead of its being
   *   thrown, so that reading can go on
   * @throws SluiceError SqlParseException, with line and column within `text`
   */
  compileExpression(
    text: string,
    start: number,
    faults?: SluiceError[],
  ): { expression: CompiledExpression; end: number }
}

export interface CompiledExpression {
  /** True when the value is the same for every message: the expression consists of literals. */
  readonly isConstant: boolean
  /** Of `topic()` 0, of `topic(2)` 2: the level of the topic, counted from 1. Else undefined. */
  readonly topicLevel: number | undefined
  /**
   * The text that replaces the expression in a template: `''` for Undefined; undefined when the
   * text is longer than `textLengthMax`.
   */
  expandText(scope: Scope): string | undefined
}

export interface StatementOptions {
  /** Whether regular expressions may backtrack and take exponential time; `linear` by default. */
  readonly regex?: RegexMode | undefined
  /** The limits of the topic filter after FROM; AWS IoT's by default. */
  readonly topicLimits?: TopicLimits | undefined
  /** `aws`: under 2015-10-08 the output has no nested values. `same` (default): it keeps them. */
  readonly firstVersion?: 'aws' | 'same' | undefined
  /**
   * Gets the faults of the statement instead of their being thrown. The statement that is returned
   * then serves to find the faults of its templates, and is not evaluated.
   */
  readonly faults?: SluiceError[] | undefined
}

/** UTF-8 bytes of a statement, and of a text with an expression in it. */
const textBytesMax = 32 * 1024

/**
 * Reads, checks and compiles a statement.
 *
 * @param text the statement, at most 32 KiB of UTF-8
 * @throws SluiceError SqlParseException: the problem with line, column and a caret; its details
 *   carry `line` and `column`, counted from 1
 */
export function compileStatement(
  text: string,
  version: SqlVersion,
  options: StatementOptions = {},
): CompiledStatement {
  if (!sqlVersions.has(version)) {
    throw syntaxError(text, 0, `unknown SQL version '${version}'`)
  }
  const dialect = dialectOf(version, options)
  const faults: SluiceError[] = []
  const { topicLimits } = options
  const read = orFault(faults, () => readStatement(text))
  const checked: CheckedStatement = read
    ? checkStatement(read, text, dialect, { topicLimits, faults })
    : { variables: undefined, externalCalls: [], warnings: [] }
  if (options.faults) options.faults.push(...faults)
  else throwFaults(faults)
  // What is wrong cannot be compiled. Templates see of it what was read.
  const statement = read && faults.length === 0 ? read : parseStatement('SELECT *')
  const usesExternalFunctions = checked.externalCalls.length > 0
  const around = surroundingsOf(statement, { text, dialect, isResumed: usesExternalFunctions })
  const createVariables = compileVariables(statement.assignments, around)
  const evaluate = compileEvaluation(statement, around)
  const openScope = (document: MessageDocument): Scope => ({
    state: { stepsLeft: workMax, place: undefined, external: undefined, failure: undefined },
    document,
    variables: createVariables?.() ?? noVariables,
    element: undefined,
    index: 0,
    outer: undefined,
  })
  return {
    version,
    topicFilter: statement.topicFilter?.text,
    openScope,
    explainWhere: (document, hiding) => explainWhere(text, around, openScope(document), hiding),
    usesExternalFunctions,
    warnings: checked.warnings,
    warn: (warning) => addWarning(checked.warnings, warning),
    evaluate: catchingSignals(evaluate, { matched: false }),
    compileExpression: (longerText, start, faultsOfExpression) =>
      compileTemplatePart(longerText, start, { around, checked, faults: faultsOfExpression }),
  }
}

function readStatement(text: string): Statement {
  checkSize(text)
  return parseStatement(text)
}

function compileTemplatePart(
  text: string,
  start: number,
  statement: {
    readonly around: Surroundings
    readonly checked: CheckedStatement
    readonly faults: SluiceError[] | undefined
  },
): { expression: CompiledExpression; end: number } {
  checkSize(text)
  const { dialect, isResumed } = statement.around
  const { expression, end } = parseExpressionAt(text, start)
  const { checked } = statement
  const faults: SluiceError[] = []
  const callsOut = checkTemplateExpression(expression, text, dialect, {
    statement: checked,
    faults,
  })
  if (faults.length > 0) {
    if (!statement.faults) throwFaults(faults)
    statement.faults?.push(...faults)
    return { expression: nothing, end }
  }
  const around = { ...statement.around, text, isResumed: isResumed || callsOut, isTemplate: true }
  const evaluate = compileWithQueries(expression, around)
  const place = placeOf(around, 'the template', start)
  const expandText = (scope: Scope) => {
    const value = evaluate(scope)
    scope.state.place = place
    return templateText(value, dialect, scope.state)
  }
  return {
    expression: {
      isConstant: isConstant(expression),
      topicLevel: topicLevelOf(expression),
      expandText: catchingSignals(expandText, ''),
    },
    end,
  }
}

/** Stands for an expression with a fault, which is never expanded. */
const nothing: CompiledExpression = {
  isConstant: false,
  topicLevel: undefined,
  expandText: () => '',
}

function topicLevelOf(expression: Expression): number | undefined {
  if (expression.kind !== 'call' || expression.name.toLowerCase() !== 'topic') return undefined
  const [level, ...others] = expression.arguments
  if (level === undefined) return 0
  const isLevel = level.kind === 'number' && /^[1-9]\d?$/.test(level.text) && others.length === 0
  return isLevel ? Number(level.text) : undefined
}

/** The text of a value in a template: a String as it is, other values as JSON, Undefined as ''. */
function templateText(value: Value, dialect: Dialect, work: Work): string | undefined {
  if (typeof value !== 'string') return writtenJson(value, dialect, work)
  spend(work, value.length >> 4)
  return value
}

function checkSize(text: string): void {
  // A UTF-16 unit takes at most three bytes, so most texts need no counting.
  if (text.length * 3 <= textBytesMax || Buffer.byteLength(text) <= textBytesMax) return
  throw syntaxError(text, 0, `the text is longer than ${textBytesMax} bytes`)
}

function dialectOf(
  version: SqlVersion,
  { regex = 'linear', firstVersion = 'same' }: StatementOptions,
): Dialect {
  const isSecondVersion = version !== '2015-10-08'
  const flattensOutput = !isSecondVersion && firstVersion === 'aws'
  const wholeDecimalsAreInts = isSecondVersion
  return { version, isSecondVersion, wholeDecimalsAreInts, regex, flattensOutput }
}

function surroundingsOf(
  { assignments }: Statement,
  given: Pick<Surroundings, 'text' | 'dialect' | 'isResumed'>,
): Surroundings {
  const variables = new Map(assignments.map(({ name }, index) => [name, index]))
  return { ...given, variables, aliases: [], isTemplate: false }
}
