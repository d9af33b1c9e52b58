/** Reads the conformance cases and runs one of them through the public contract of `sql`. */
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { SluiceError } from '../../src/base/errors.ts'
import { readJson } from '../../src/sql/values/json-reader.ts'
import { jsonText } from '../helpers/json-text.ts'
import { compareNumbers, numberText } from '../../src/sql/values/numbers.ts'
import { compileStatement, createDocument } from '../../src/sql/sql.ts'
import type { SqlMessage, SqlVersion } from '../../src/sql/sql.ts'
import { compileTemplate } from '../../src/sql/template.ts'
import { isArray, isNumber, isObject, memberOf } from '../../src/sql/values/values.ts'
import type { SqlObject, Value } from '../../src/sql/values/values.ts'

export const casesFolder = path.join(import.meta.dirname, 'sql')

/** Numbers keep the text that the files have: rounding them would hide what is tested. */
const asWritten = Object.freeze({
  version: '2015-10-08',
  isSecondVersion: false,
  wholeDecimalsAreInts: false,
} as const)

export interface ConformanceCase {
  readonly id: string
  readonly isCertain: boolean
  readonly definition: SqlObject
}

export function readCases(file: string): readonly ConformanceCase[] {
  const cases = readJson(readFileSync(path.join(casesFolder, file), 'utf8'))
  if (!isArray(cases)) throw new Error(`${file} is not an array of cases`)
  return cases.map((definition) => {
    if (!isObject(definition)) throw new Error(`a case in ${file} is not an object`)
    return {
      id: textOf(definition.get('id')),
      isCertain: definition.get('certain') === true,
      definition,
    }
  })
}

export function caseFiles(): readonly string[] {
  return readdirSync(casesFolder)
    .filter((name) => name.endsWith('.json'))
    .toSorted()
}

/** The outcome of a case in the terms of its `expect`. */
export type Outcome =
  | { readonly kind: 'sqlError'; readonly message: string }
  | { readonly kind: 'noMatch' }
  | { readonly kind: 'output'; readonly bytes: Buffer }
  | { readonly kind: 'string'; readonly text: string }

export function runCase({ definition }: ConformanceCase): Outcome {
  try {
    return evaluateCase(definition)
  } catch (thrown) {
    if (thrown instanceof SluiceError && thrown.code === 'SqlParseException') {
      return { kind: 'sqlError', message: thrown.message }
    }
    throw thrown
  }
}

function evaluateCase(definition: SqlObject): Outcome {
  const version = textOf(definition.get('sqlVersion') ?? '2015-10-08') as SqlVersion
  const statement = compileStatement(textOf(definition.get('sql')), version, {
    regex: 'backtracking',
  })
  const template = definition.get('template')
  const expand = template === undefined ? undefined : compileTemplate(textOf(template), statement)
  const { message, isBasicIngest } = messageOf(definition)
  const document = createDocument(message, {
    accountId: textOf(memberOf(definition.get('context'), 'accountId') ?? '000000000000'),
    newUuid: () => crypto.randomUUID(),
  })
  const scope = statement.openScope(document)
  if (expand !== undefined) return { kind: 'string', text: expand.expand(scope) }
  const filter = statement.topicFilter
  if (!isBasicIngest && (filter === undefined || !matches(filter, message.topic))) {
    return { kind: 'noMatch' }
  }
  const result = statement.evaluate(scope)
  return result.matched ? { kind: 'output', bytes: result.output } : { kind: 'noMatch' }
}

function messageOf(definition: SqlObject): { message: SqlMessage; isBasicIngest: boolean } {
  const context = definition.get('context')
  const text = (name: string, fallback: string) => textOf(memberOf(context, name) ?? fallback)
  const isMqtt = text('transport', 'mqtt') === 'mqtt'
  const ruleName = memberOf(context, 'ruleName')
  const topic = textOf(definition.get('topic') ?? 'a/b')
  const prefix = ruleName === undefined ? '' : `$aws/rules/${textOf(ruleName)}/`
  const mqtt5 = memberOf(context, 'mqtt5')
  const message: SqlMessage = {
    topic: topic.startsWith(prefix) ? topic.slice(prefix.length) : topic,
    payload: payloadOf(definition),
    timestampMs: Number(numberOf(memberOf(context, 'nowMs')) ?? 1_700_000_000_000),
    principal: text('principal', 'principal'),
    sourceIp: text('sourceIp', '127.0.0.1'),
    ...(isMqtt ? { clientId: textOf(definition.get('clientId') ?? 'c1') } : {}),
    ...(isMqtt ? { traceId: text('traceId', crypto.randomUUID()) } : {}),
    ...(isObject(mqtt5) ? { mqtt5: mqtt5Of(mqtt5) } : {}),
  }
  return { message, isBasicIngest: ruleName !== undefined }
}

function mqtt5Of(properties: SqlObject): NonNullable<SqlMessage['mqtt5']> {
  const contentType = properties.get('contentType')
  const responseTopic = properties.get('responseTopic')
  const correlation = properties.get('correlationDataBase64')
  const indicator = numberOf(properties.get('payloadFormatIndicator'))
  const pairs = properties.get('userProperties')
  return {
    ...(contentType === undefined ? {} : { contentType: textOf(contentType) }),
    ...(responseTopic === undefined ? {} : { responseTopic: textOf(responseTopic) }),
    ...(correlation === undefined
      ? {}
      : { correlationData: Buffer.from(textOf(correlation), 'base64') }),
    ...(indicator === undefined ? {} : { payloadFormatIndicator: indicator === '1' ? 1 : 0 }),
    ...(isArray(pairs)
      ? {
          userProperties: pairs
            .filter(isArray)
            .map(([key, value]): [string, string] => [textOf(key), textOf(value)]),
        }
      : {}),
  }
}

function payloadOf(definition: SqlObject): Buffer {
  const base64 = definition.get('payloadBase64')
  if (base64 !== undefined) return Buffer.from(textOf(base64), 'base64')
  return Buffer.from(jsonText(definition.get('payload') ?? new Map(), asWritten))
}

/** `+` and `#` of a topic filter as AWS IoT has them: `a/#` does not match `a`. */
function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false
  for (const [index, level] of wanted.entries()) {
    if (level === '#') return levels.length > index
    if (levels[index] === undefined || (level !== '+' && level !== levels[index])) return false
  }
  return wanted.length === levels.length
}

/** The same case with one of its other plausible expectations each. */
export function alternativesOf({
  definition,
  ...rest
}: ConformanceCase): readonly ConformanceCase[] {
  const alternatives = definition.get('alternatives')
  if (!isArray(alternatives)) return []
  return alternatives.map((expected) => ({
    ...rest,
    definition: new Map([...definition, ['expect', expected]]),
  }))
}

/** What is wrong with an outcome, or undefined when it is what the case expects. */
export function findDifference(outcome: Outcome, { definition }: ConformanceCase) {
  const expected = definition.get('expect')
  if (!isObject(expected)) return 'the case has no expect'
  const tolerance = Number(numberOf(definition.get('tolerance')) ?? 0)
  const isAsExpected = [...expected].every(([kind, wanted]) => {
    switch (kind) {
      case 'sqlError':
      case 'noMatch':
        return outcome.kind === kind
      case 'output':
        return outcome.kind === 'output' && isSame(readOutput(outcome), wanted, tolerance)
      case 'outputBase64':
        return outcome.kind === 'output' && outcome.bytes.toString('base64') === wanted
      case 'string':
        return outcome.kind === 'string' && outcome.text === wanted
      case 'matches':
        return isObject(wanted) && matchesPatterns(outcome, wanted)
      default:
        return false
    }
  })
  return isAsExpected
    ? undefined
    : `expected ${jsonText(expected, asWritten)}, got ${describe(outcome)}`
}

function describe(outcome: Outcome): string {
  if (outcome.kind === 'output') return outcome.bytes.toString()
  return JSON.stringify(outcome)
}

function readOutput({ bytes }: { bytes: Buffer }): Value {
  return readJson(bytes.toString())
}

function matchesPatterns(outcome: Outcome, patterns: SqlObject): boolean {
  const output = outcome.kind === 'output' ? readOutput(outcome) : undefined
  if (outcome.kind === 'output' && !isObject(output)) return false
  return [...patterns].every(([key, pattern]) => {
    const expression = new RegExp(textOf(pattern))
    if (key === '' && outcome.kind === 'string') return expression.test(outcome.text)
    const member = memberOf(output, key)
    return member !== undefined && expression.test(jsonText(member, asWritten))
  })
}

function isSame(actual: Value, wanted: Value, tolerance: number): boolean {
  if (isNumber(wanted)) {
    if (!isNumber(actual)) return false
    if (compareNumbers(actual, wanted) === 0) return true
    const [a, b] = [Number(numberText(actual, asWritten)), Number(numberText(wanted, asWritten))]
    return Math.abs(a - b) <= tolerance * Math.abs(b)
  }
  if (isArray(wanted)) {
    return (
      isArray(actual) &&
      actual.length === wanted.length &&
      wanted.every((item, index) => isSame(actual[index], item, tolerance))
    )
  }
  if (isObject(wanted)) {
    return (
      isObject(actual) &&
      actual.size === wanted.size &&
      [...wanted].every(([key, value]) => isSame(actual.get(key), value, tolerance))
    )
  }
  return actual === wanted
}

function textOf(value: Value): string {
  if (typeof value !== 'string') throw new Error('a case has no text where one belongs')
  return value
}

function numberOf(value: Value): string | undefined {
  return isNumber(value) ? numberText(value, asWritten) : undefined
}
