/**
 * Filter patterns of FilterCriteria (Lambda Developer Guide, "Lambda event filtering"): a pattern
 * is an object of the record's structure, whose leaves are lists of accepted values.
 *
 *     {"partitionKey": ["7"],
 *      "data": {"temp": [{"numeric": [">", 60]}], "site": [{"exists": false}]}}
 *
 * A record passes when one pattern of the mapping accepts it. A pattern accepts a record when all
 * of its members do, and a member when one entry of its list does. A list in the record is accepted
 * when one of its elements is.
 */
export type FilterPattern = (record: FilteredRecord) => boolean

/** The parts of a record that patterns compare. */
interface FilteredRecord {
  readonly partitionKey: string
  readonly data: Buffer
}

/** Thrown for an invalid pattern; the message names the member. */
export class InvalidPattern extends Error {}

type Member = (value: unknown) => boolean

const absent = Symbol('a missing member')
const depthMax = 32

/**
 * Compiles the text of a pattern.
 *
 * @throws InvalidPattern
 */
export function compileFilterPattern(text: string): FilterPattern {
  const pattern = parse(text)
  if (!isObject(pattern) || Object.keys(pattern).length === 0) {
    throw new InvalidPattern('a pattern must be an object with at least one member')
  }
  const { data, ...rest } = pattern
  const acceptsRest = compileObject(rest, '', 0)
  const acceptsData = data === undefined ? undefined : compileData(data)
  return (record) => {
    if (!acceptsRest({ partitionKey: record.partitionKey })) return false
    return acceptsData === undefined || acceptsData(record.data)
  }
}

/** An object matches JSON data, and a list matches plain text; neither matches the other. */
function compileData(pattern: unknown): (data: Buffer) => boolean {
  if (isObject(pattern)) {
    const accepts = compileObject(pattern, 'data', 1)
    return (data) => {
      const value = jsonIn(data)
      return isObject(value) && accepts(value)
    }
  }
  const accepts = compileList(pattern, 'data')
  return (data) => {
    const text = data.toString('utf8')
    return !isObject(jsonIn(data)) && accepts(text)
  }
}

function compileObject(
  pattern: Readonly<Record<string, unknown>>,
  path: string,
  depth: number,
): Member {
  if (depth > depthMax) throw new InvalidPattern(`${path} is deeper than ${depthMax} levels`)
  const members = Object.entries(pattern).map(([name, part]): Member => {
    const memberPath = path === '' ? name : `${path}.${name}`
    if (name === '$or') return compileOr(part, path, depth)
    const accepts = isObject(part)
      ? compileObject(part, memberPath, depth + 1)
      : compileList(part, memberPath)
    return (value) => accepts(memberOf(value, name))
  })
  // A list of objects is accepted when one of them is.
  const acceptsOne: Member = (value) => members.every((accepts) => accepts(value))
  return (value) => (Array.isArray(value) ? value.some(acceptsOne) : acceptsOne(value))
}

function compileOr(part: unknown, path: string, depth: number): Member {
  if (!Array.isArray(part) || part.length < 2) {
    throw new InvalidPattern(`${path}$or is a list of at least two patterns`)
  }
  const patterns = part.map((entry: unknown) => {
    if (!isObject(entry)) throw new InvalidPattern(`${path}$or has an entry that is not an object`)
    return compileObject(entry, path, depth + 1)
  })
  return (value) => patterns.some((accepts) => accepts(value))
}

function compileList(part: unknown, memberPath: string): Member {
  if (!Array.isArray(part) || part.length === 0) {
    throw new InvalidPattern(`${memberPath} must be a list of accepted values, or an object`)
  }
  const entries = part.map((entry: unknown) => compileEntry(entry, memberPath))
  const acceptsOne: Member = (value) => entries.some((accepts) => accepts(value))
  // An empty list has no element to accept, but it exists.
  return (value) =>
    Array.isArray(value) && value.length > 0 ? value.some(acceptsOne) : acceptsOne(value)
}

function compileEntry(entry: unknown, memberPath: string): Member {
  if (!isObject(entry)) {
    if (Array.isArray(entry)) throw new InvalidPattern(`${memberPath} has a list in a list`)
    return (value) => value === entry
  }
  const [name, ...others] = Object.keys(entry)
  if (name === undefined || others.length > 0) {
    throw new InvalidPattern(`${memberPath} has an object that is not one comparison`)
  }
  const compile = comparisons[name]
  if (!compile) throw new InvalidPattern(`${memberPath} has an unknown comparison, ${name}`)
  return compile(entry[name], `${memberPath}.${name}`)
}

const comparisons: Readonly<Record<string, (operand: unknown, memberPath: string) => Member>> =
  Object.freeze({
    prefix: compilePrefix,
    suffix: (operand, memberPath) => {
      const end = textOf(operand, memberPath)
      return (value) => typeof value === 'string' && value.endsWith(end)
    },
    'equals-ignore-case': (operand, memberPath) => {
      const wanted = textOf(operand, memberPath).toLowerCase()
      return (value) => typeof value === 'string' && value.toLowerCase() === wanted
    },
    exists: (operand, memberPath) => {
      if (typeof operand !== 'boolean') throw new InvalidPattern(`${memberPath} is true or false`)
      return (value) => (value !== absent) === operand
    },
    'anything-but': compileAnythingBut,
    numeric: compileNumeric,
  } satisfies Record<string, (operand: unknown, memberPath: string) => Member>)

function compilePrefix(operand: unknown, memberPath: string): Member {
  const start = textOf(operand, memberPath)
  return (value) => typeof value === 'string' && value.startsWith(start)
}

/** A missing member is not accepted. */
function compileAnythingBut(operand: unknown, memberPath: string): Member {
  const entries = (Array.isArray(operand) ? operand : [operand]) as readonly unknown[]
  if (entries.length === 0) throw new InvalidPattern(`${memberPath} is empty`)
  const refused = entries.map((entry) => {
    if (isObject(entry) || typeof entry === 'string' || typeof entry === 'number') {
      return compileEntry(entry, memberPath)
    }
    throw new InvalidPattern(
      `${memberPath} has an entry that is neither text, number nor comparison`,
    )
  })
  return (value) =>
    value !== absent && !isObject(value) && !refused.some((refuses) => refuses(value))
}

type Comparison = (value: number, bound: number) => boolean

const numericOperators: Readonly<Record<string, Comparison>> = Object.freeze({
  '=': (value, bound) => value === bound,
  '<': (value, bound) => value < bound,
  '<=': (value, bound) => value <= bound,
  '>': (value, bound) => value > bound,
  '>=': (value, bound) => value >= bound,
} satisfies Record<string, Comparison>)

/** One comparison, or the two ends of a range: `[">", 0, "<=", 5]`. */
function compileNumeric(operand: unknown, memberPath: string): Member {
  const isPairs = Array.isArray(operand) && (operand.length === 2 || operand.length === 4)
  if (!isPairs) throw new InvalidPattern(`${memberPath} is a comparison or a range`)
  const bounds: ((value: number) => boolean)[] = []
  for (let index = 0; index < operand.length; index += 2) {
    const compare = numericOperators[String(operand[index])]
    const bound: unknown = operand[index + 1]
    if (!compare || typeof bound !== 'number') {
      throw new InvalidPattern(`${memberPath} has an entry that is not a comparison with a number`)
    }
    bounds.push((value) => compare(value, bound))
  }
  return (value) => typeof value === 'number' && bounds.every((holds) => holds(value))
}

function textOf(operand: unknown, memberPath: string): string {
  if (typeof operand === 'string') return operand
  throw new InvalidPattern(`${memberPath} must be a text`)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new InvalidPattern('a pattern must be JSON')
  }
}

function jsonIn(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString('utf8'))
  } catch {
    return undefined
  }
}

function memberOf(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : absent
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
