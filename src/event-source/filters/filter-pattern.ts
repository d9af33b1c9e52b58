/**
 * Filter patterns of FilterCriteria (Lambda Developer Guide, "Lambda event filtering", and
 * "Comparison operators" of Amazon EventBridge): a pattern is an object of the record's structure,
 * whose leaves are lists of accepted values.
 *
 *     {"partitionKey": ["7"],
 *      "data": {"temp": [{"numeric": [">", 60]}], "site": [{"exists": false}]}}
 *
 * A pattern accepts a record when all of its members do, and a member when one entry of its list
 * does. A list in the record is accepted when one of its elements is. The same rules hold at every
 * depth, so `$or` may stand beside `data` or in it.
 *
 * As in AWS, numbers are equal when their texts are: 300 is not 300.0. Only `numeric` compares
 * their values. `exists` looks at leaves: an object is none.
 */
import { compareNumbers } from '../../sql/values/numbers.ts'
import type { SqlNumber } from '../../sql/values/numbers.ts'
import { readJson } from '../../sql/values/json-reader.ts'
import { isArray, isNumber, isObject } from '../../sql/values/values.ts'
import type { SqlObject, Value } from '../../sql/values/values.ts'

/** @param record the record as one document, whose data is JSON: see record-filter.ts */
type FilterPattern = (record: FilteredValue) => boolean

/** Thrown for an invalid pattern; the message names the member. */
export class InvalidPattern extends Error {}

/** What nothing accepts, not even `exists: false`: data that is not JSON. */
export const notJson = Symbol('data that is not JSON')

export type FilteredValue = Value | typeof notJson | ReadonlyMap<string, FilteredValue>
type Member = (value: FilteredValue) => boolean

const depthMax = 32

/**
 * Compiles the text of a pattern.
 *
 * @throws InvalidPattern
 */
export function compileFilterPattern(text: string): FilterPattern {
  return compileObject(parsePattern(text), '', 0)
}

/**
 * The members of a record that a pattern reads, such as `data`, each once.
 *
 * @throws InvalidPattern
 */
export function membersOfPattern(text: string): readonly string[] {
  const names = new Set<string>()
  const visit = (pattern: SqlObject) => {
    for (const [name, part] of pattern) {
      if (name !== '$or') names.add(name)
      else for (const entry of isArray(part) ? part : []) if (isObject(entry)) visit(entry)
    }
  }
  visit(parsePattern(text))
  return [...names]
}

function parsePattern(text: string): SqlObject {
  const pattern = readJson(text)
  if (pattern === undefined) throw new InvalidPattern('a pattern must be JSON')
  if (!isObject(pattern) || pattern.size === 0) {
    throw new InvalidPattern('a pattern must be an object with at least one member')
  }
  return pattern
}

function compileObject(pattern: SqlObject, path: string, depth: number): Member {
  if (depth > depthMax) throw new InvalidPattern(`${path} is deeper than ${depthMax} levels`)
  const members = [...pattern].map(([name, part]): Member => {
    if (name === '$or') return compileOr(part, path, depth)
    const memberPath = path === '' ? name : `${path}.${name}`
    const accepts = isObject(part)
      ? compileObject(part, memberPath, depth + 1)
      : compileList(part, memberPath)
    return (value) => accepts(memberOf(value, name))
  })
  const acceptsOne: Member = (value) => members.every((accepts) => accepts(value))
  return (value) => (Array.isArray(value) ? value.some(acceptsOne) : acceptsOne(value))
}

function compileOr(part: Value, path: string, depth: number): Member {
  const orPath = path === '' ? '$or' : `${path}.$or`
  if (!isArray(part) || part.length < 2) {
    throw new InvalidPattern(`${orPath} is a list of at least two patterns`)
  }
  const patterns = part.map((entry) => {
    if (!isObject(entry) || entry.size === 0) {
      throw new InvalidPattern(`${orPath} has an entry that is not an object with members`)
    }
    return compileObject(entry, path, depth + 1)
  })
  return (value) => patterns.some((accepts) => accepts(value))
}

function compileList(part: Value, memberPath: string): Member {
  if (memberPath === 'data') {
    throw new InvalidPattern('data must be an object, because only data in JSON can be filtered')
  }
  if (!isArray(part) || part.length === 0) {
    throw new InvalidPattern(`${memberPath} must be a list of accepted values, or an object`)
  }
  const entries = part.map((entry) => compileEntry(entry, memberPath))
  const acceptsOne: Member = (value) =>
    value !== notJson && entries.some((accepts) => accepts(value))
  // An empty list has no element to accept, but it exists.
  return (value) =>
    Array.isArray(value) && value.length > 0 ? value.some(acceptsOne) : acceptsOne(value)
}

function compileEntry(entry: Value, memberPath: string): Member {
  if (isArray(entry)) throw new InvalidPattern(`${memberPath} has a list in a list`)
  if (!isObject(entry)) return (value) => isEqual(value, entry)
  const [[name, operand] = [], ...others] = entry
  if (name === undefined || others.length > 0) {
    throw new InvalidPattern(`${memberPath} has an object that is not one comparison`)
  }
  const compile = comparisons.get(name)
  if (!compile) throw new InvalidPattern(`${memberPath} has an unknown comparison, ${name}`)
  return compile(operand, `${memberPath}.${name}`)
}

/** @param wanted text, number, boolean or null */
function isEqual(value: FilteredValue, wanted: Value): boolean {
  if (!isNumber(wanted)) return value === wanted
  return value !== notJson && isSqlNumber(value) && value.source === wanted.source
}

type CompileComparison = (operand: Value, memberPath: string) => Member

/** Maps, because the names come from outside, such as `constructor`. */
const comparisons: ReadonlyMap<string, CompileComparison> = new Map<string, CompileComparison>([
  [
    'prefix',
    (operand, memberPath) => {
      const start = textOf(operand, memberPath)
      return (value) => typeof value === 'string' && value.startsWith(start)
    },
  ],
  [
    'suffix',
    (operand, memberPath) => {
      const end = textOf(operand, memberPath)
      return (value) => typeof value === 'string' && value.endsWith(end)
    },
  ],
  [
    'equals-ignore-case',
    (operand, memberPath) => {
      const wanted = textOf(operand, memberPath).toLowerCase()
      return (value) => typeof value === 'string' && value.toLowerCase() === wanted
    },
  ],
  [
    'exists',
    (operand, memberPath) => {
      if (typeof operand !== 'boolean') throw new InvalidPattern(`${memberPath} is true or false`)
      return (value) => isLeaf(value) === operand
    },
  ],
  ['anything-but', compileAnythingBut],
  ['numeric', compileNumeric],
])

/** A missing member is not accepted. */
function compileAnythingBut(operand: Value, memberPath: string): Member {
  const entries = isArray(operand) ? operand : [operand]
  if (entries.length === 0) throw new InvalidPattern(`${memberPath} is empty`)
  const refused = entries.map((entry) => {
    if (isObject(entry) || typeof entry === 'string' || isNumber(entry)) {
      return compileEntry(entry, memberPath)
    }
    throw new InvalidPattern(
      `${memberPath} has an entry that is neither text, number nor comparison`,
    )
  })
  return (value) => isLeaf(value) && !refused.some((refuses) => refuses(value))
}

const numericOperators: ReadonlyMap<string, (difference: number) => boolean> = new Map([
  ['=', (difference: number) => difference === 0],
  ['<', (difference: number) => difference < 0],
  ['<=', (difference: number) => difference <= 0],
  ['>', (difference: number) => difference > 0],
  ['>=', (difference: number) => difference >= 0],
])

/** One comparison, or the two ends of a range: `[">", 0, "<=", 5]`. */
function compileNumeric(operand: Value, memberPath: string): Member {
  const isPairs = isArray(operand) && (operand.length === 2 || operand.length === 4)
  if (!isPairs) throw new InvalidPattern(`${memberPath} is a comparison or a range`)
  const bounds: ((value: SqlNumber) => boolean)[] = []
  for (let index = 0; index < operand.length; index += 2) {
    const operator = operand[index]
    const holds = typeof operator === 'string' ? numericOperators.get(operator) : undefined
    const bound = operand[index + 1]
    if (!holds || !isNumber(bound)) {
      throw new InvalidPattern(`${memberPath} has an entry that is not a comparison with a number`)
    }
    bounds.push((value) => holds(compareNumbers(value, bound)))
  }
  return (value) => isSqlNumber(value) && bounds.every((holds) => holds(value))
}

function textOf(operand: Value, memberPath: string): string {
  if (typeof operand === 'string') return operand
  throw new InvalidPattern(`${memberPath} must be a text`)
}

function memberOf(value: FilteredValue, name: string): FilteredValue {
  if (value === notJson) return notJson
  return value instanceof Map ? (value.get(name) as FilteredValue) : undefined
}

/** Whether the value is there and is no object. */
const isLeaf = (value: FilteredValue) => value !== undefined && !(value instanceof Map)

const isSqlNumber = (value: FilteredValue): value is SqlNumber =>
  value !== notJson && !(value instanceof Map) && isNumber(value as Value)
