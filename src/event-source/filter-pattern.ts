/**
 * Filter patterns of FilterCriteria (Lambda Developer Guide, "Lambda event filtering"): a pattern is
 * an object as deep as the record, with a list of what is accepted at its leaves.
 *
 *     {"partitionKey": ["7"], "data": {"temp": [{"numeric": [">", 60]}], "site": [{"exists": false}]}}
 *
 * A record passes when any pattern of the mapping accepts it; a pattern accepts it when all its
 * members do; a member when any entry of its list does. A member of the record that is a list is
 * accepted when one of its elements is.
 */
export type FilterPattern = (record: FilteredRecord) => boolean

/** What patterns see of a record. */
interface FilteredRecord {
  readonly partitionKey: string
  readonly data: Buffer
}

/** Thrown for a pattern that is none; the message says where. */
export class InvalidPattern extends Error {}

type Member = (value: unknown) => boolean

const absent = Symbol('a member that is not there')
const depthMax = 32

/**
 * Compiles the text of a pattern.
 *
 * @throws InvalidPattern
 */
export function compileFilterPattern(text: string): FilterPattern {
  const pattern = parse(text)
  if (!isObject(pattern) || Object.keys(pattern).length === 0) {
    throw new InvalidPattern('a pattern is an object with at least one member')
  }
  const { data, ...rest } = pattern
  const acceptsRest = compileObject(rest, '', 0)
  const acceptsData = data === undefined ? undefined : compileData(data)
  return (record) => {
    if (!acceptsRest({ partitionKey: record.partitionKey })) return false
    return acceptsData === undefined || acceptsData(record.data)
  }
}

/** A pattern of an object is for JSON data, one of a list for plain text: the other is left out. */
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
    const place = path === '' ? name : `${path}.${name}`
    if (name === '$or') return compileOr(part, path, depth)
    const accepts = isObject(part)
      ? compileObject(part, place, depth + 1)
      : compileList(part, place)
    return (value) => accepts(memberOf(value, name))
  })
  // An element of a list may be the object that is asked for.
  const acceptsOne: Member = (value) => members.every((accepts) => accepts(value))
  return (value) => (Array.isArray(value) ? value.some(acceptsOne) : acceptsOne(value))
}

function compileOr(part: unknown, path: string, depth: number): Member {
  if (!Array.isArray(part) || part.length < 2) {
    throw new InvalidPattern(`${path}$or is a list of at least two patterns`)
  }
  const patterns = part.map((entry: unknown) => {
    if (!isObject(entry)) throw new InvalidPattern(`${path}$or holds something that is no object`)
    return compileObject(entry, path, depth + 1)
  })
  return (value) => patterns.some((accepts) => accepts(value))
}

function compileList(part: unknown, place: string): Member {
  if (!Array.isArray(part) || part.length === 0) {
    throw new InvalidPattern(`${place} must be a list of what is accepted, or an object`)
  }
  const entries = part.map((entry: unknown) => compileEntry(entry, place))
  const acceptsOne: Member = (value) => entries.some((accepts) => accepts(value))
  // An empty list has nothing that could be accepted, but it is there.
  return (value) =>
    Array.isArray(value) && value.length > 0 ? value.some(acceptsOne) : acceptsOne(value)
}

function compileEntry(entry: unknown, place: string): Member {
  if (!isObject(entry)) {
    if (Array.isArray(entry)) throw new InvalidPattern(`${place} holds a list in a list`)
    return (value) => value === entry
  }
  const [name, ...others] = Object.keys(entry)
  if (name === undefined || others.length > 0) {
    throw new InvalidPattern(`${place} holds an object that is not one comparison`)
  }
  const compile = comparisons[name]
  if (!compile) throw new InvalidPattern(`${place} has an unknown comparison, ${name}`)
  return compile(entry[name], `${place}.${name}`)
}

const comparisons: Readonly<Record<string, (operand: unknown, place: string) => Member>> =
  Object.freeze({
    prefix: compilePrefix,
    suffix: (operand, place) => {
      const end = textOf(operand, place)
      return (value) => typeof value === 'string' && value.endsWith(end)
    },
    'equals-ignore-case': (operand, place) => {
      const wanted = textOf(operand, place).toLowerCase()
      return (value) => typeof value === 'string' && value.toLowerCase() === wanted
    },
    exists: (operand, place) => {
      if (typeof operand !== 'boolean') throw new InvalidPattern(`${place} is true or false`)
      return (value) => (value !== absent) === operand
    },
    'anything-but': compileAnythingBut,
    numeric: compileNumeric,
  } satisfies Record<string, (operand: unknown, place: string) => Member>)

function compilePrefix(operand: unknown, place: string): Member {
  const start = textOf(operand, place)
  return (value) => typeof value === 'string' && value.startsWith(start)
}

/** What is not there is not anything, either. */
function compileAnythingBut(operand: unknown, place: string): Member {
  const entries = (Array.isArray(operand) ? operand : [operand]) as readonly unknown[]
  if (entries.length === 0) throw new InvalidPattern(`${place} is empty`)
  const refused = entries.map((entry) => {
    if (isObject(entry) || typeof entry === 'string' || typeof entry === 'number') {
      return compileEntry(entry, place)
    }
    throw new InvalidPattern(`${place} holds something that is neither text, number nor comparison`)
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
function compileNumeric(operand: unknown, place: string): Member {
  const isPairs = Array.isArray(operand) && (operand.length === 2 || operand.length === 4)
  if (!isPairs) throw new InvalidPattern(`${place} is a comparison or a range`)
  const bounds: ((value: number) => boolean)[] = []
  for (let index = 0; index < operand.length; index += 2) {
    const compare = numericOperators[String(operand[index])]
    const bound: unknown = operand[index + 1]
    if (!compare || typeof bound !== 'number') {
      throw new InvalidPattern(`${place} has something that is no comparison with a number`)
    }
    bounds.push((value) => compare(value, bound))
  }
  return (value) => typeof value === 'number' && bounds.every((holds) => holds(value))
}

function textOf(operand: unknown, place: string): string {
  if (typeof operand === 'string') return operand
  throw new InvalidPattern(`${place} must be a text`)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new InvalidPattern('a pattern is JSON')
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
