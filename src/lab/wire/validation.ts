import { ServiceError } from './service-error.ts'

/**
 * Shapes of request members, read as AWS's services read them: a value of the wrong JSON type is a
 * SerializationException at once; values that violate constraints are collected and reported in one
 * ValidationException; `null` is the same as a missing member; unknown members are ignored.
 *
 * Reading a valid value allocates no path: a problem gets its path while the calls return.
 */
export interface Shape<T> {
  /** Returns the value, or adds to `problems`; the result is valid only if nothing was added. */
  read(value: unknown, problems: Problem[]): T
}

interface RequiredShape<T> extends Shape<T> {
  readonly isRequired: true
}

/** The TypeScript type that a shape reads. */
type Read<S> = S extends Shape<infer T> ? T : never

interface Problem {
  path: string
  readonly value: string
  readonly constraint: string
}

type Members = Readonly<Record<string, Shape<unknown>>>
type RequiredNames<M extends Members> = {
  [Name in keyof M]: M[Name] extends { isRequired: true } ? Name : never
}[keyof M]
type Structure<M extends Members> = {
  readonly [Name in RequiredNames<M>]: Read<M[Name]>
} & { readonly [Name in Exclude<keyof M, RequiredNames<M>>]?: Read<M[Name]> }

/** The number of problems that one response names. */
const problemsMax = 10
const valueCharactersMax = 200

/**
 * Reads a whole request.
 *
 * @param errorCode `ValidationException` for Kinesis, `ValidationError` for STS
 * @throws ServiceError SerializationException, or `errorCode` with every problem found
 */
export function readRequest<T>(
  shape: Shape<T>,
  value: unknown,
  errorCode = 'ValidationException',
): T {
  const problems: Problem[] = []
  const read = shape.read(value, problems)
  if (problems.length === 0) return read
  const named = problems
    .slice(0, problemsMax)
    .map(
      ({ path, value: given, constraint }) =>
        `Value ${given} at '${path}' failed to satisfy constraint: ${constraint}`,
    )
  const count = `${named.length} validation error${named.length === 1 ? '' : 's'} detected`
  throw new ServiceError(errorCode, `${count}: ${named.join('; ')}`)
}

/** The error of a required member that is absent, where that depends on more than the request. */
export const missingMember = (path: string) =>
  new ServiceError(
    'ValidationException',
    `1 validation error detected: Value null at '${path}' failed to satisfy constraint: ` +
      'Member must not be null',
  )

export function required<T>(shape: Shape<T>): RequiredShape<T> {
  return { ...shape, isRequired: true }
}

interface TextLimits {
  readonly min?: number
  readonly max?: number
  /** Matched against the whole text. */
  readonly pattern?: string
}

/** Lengths count Unicode characters (code points). */
export function text(limits: TextLimits = {}): Shape<string> {
  const { min = 0, max = Infinity, pattern } = limits
  const whole = pattern === undefined ? undefined : new RegExp(`^(?:${pattern})$`, 'u')
  return {
    read(value, problems) {
      if (typeof value !== 'string') throw notConvertible(value, 'String')
      const problem = (constraint: string) =>
        problems.push({ path: '', value: quoted(value), constraint })
      if (value.length < min) problem(lengthAtLeast(min))
      // The UTF-16 length is never the smaller one, so most texts need no counting.
      if (value.length > max && Array.from(value).length > max) problem(lengthAtMost(max))
      if (whole && !whole.test(value)) {
        problem(`Member must satisfy regular expression pattern: ${pattern}`)
      }
      return value
    },
  }
}

export function oneOf<const Values extends readonly string[]>(
  values: Values,
): Shape<Values[number]> {
  return {
    read(value, problems) {
      if (typeof value !== 'string') throw notConvertible(value, 'String')
      if (!values.includes(value)) {
        const constraint = `Member must satisfy enum value set: [${values.join(', ')}]`
        problems.push({ path: '', value: quoted(value), constraint })
      }
      return value
    },
  }
}

export function integer(limits: { min?: number; max?: number } = {}): Shape<number> {
  const { min = -Infinity, max = Infinity } = limits
  return {
    read(value, problems) {
      if (typeof value !== 'number') throw notConvertible(value, 'Integer')
      // Coral, AWS's service framework, truncates fractions.
      const whole = Math.trunc(value)
      const problem = (constraint: string) =>
        problems.push({ path: '', value: quoted(String(whole)), constraint })
      if (whole < min) problem(`Member must have value greater than or equal to ${min}`)
      if (whole > max) problem(`Member must have value less than or equal to ${max}`)
      return whole
    },
  }
}

/** A member that is known and not carried out: a request with it is refused by its name. */
export function refused(reason: string): Shape<undefined> {
  return {
    read(value, problems) {
      const constraint = `Member must be null: ${reason}`
      const shown = typeof value === 'string' ? value : kindOf(value)
      problems.push({ path: '', value: quoted(shown), constraint })
      return undefined
    },
  }
}

export const boolean: Shape<boolean> = {
  read(value) {
    if (typeof value !== 'boolean') throw notConvertible(value, 'Boolean')
    return value
  },
}

/** A time: epoch seconds with a fraction, or a time of CBOR; returns whole milliseconds. */
export const timestampMs: Shape<number> = {
  read(value) {
    if (value instanceof Date && !Number.isNaN(value.getTime())) return Math.round(value.getTime())
    if (typeof value !== 'number') throw notConvertible(value, 'Timestamp')
    return Math.round(value * 1000)
  },
}

const base64 = /^[A-Za-z0-9+/]*={0,2}$/

/** Bytes, or base64 text. */
export function blob(limits: { max: number }): Shape<Uint8Array> {
  return {
    read(value, problems) {
      const bytes = value instanceof Uint8Array ? value : fromBase64(value)
      if (bytes.length > limits.max) {
        const constraint = lengthAtMost(limits.max)
        problems.push({ path: '', value: `'${bytes.length} bytes'`, constraint })
      }
      return bytes
    },
  }
}

function fromBase64(value: unknown): Buffer {
  if (typeof value !== 'string') throw notConvertible(value, 'Blob')
  if (value.length % 4 !== 0 || !base64.test(value)) {
    throw new ServiceError('SerializationException', 'A Blob must be valid base64.')
  }
  return Buffer.from(value, 'base64')
}

export function list<T>(member: Shape<T>, limits: { min: number; max: number }): Shape<T[]> {
  return {
    read(value, problems) {
      if (!Array.isArray(value)) throw notConvertible(value, 'List')
      const size = { path: '', value: `'[${value.length} members]'` }
      if (value.length < limits.min) {
        problems.push({ ...size, constraint: lengthAtLeast(limits.min) })
      }
      if (value.length > limits.max) {
        problems.push({ ...size, constraint: lengthAtMost(limits.max) })
        return []
      }
      return value.map((item: unknown, index) =>
        readAt(`${index + 1}.member`, member, item, problems),
      )
    },
  }
}

export function map(
  key: Shape<string>,
  value: Shape<string>,
  limits: { min: number; max: number },
): Shape<Record<string, string>> {
  return {
    read(given, problems) {
      if (!isObject(given)) throw notConvertible(given, 'Map')
      const entries = Object.entries(given)
      const size = { path: '', value: `'{${entries.length} members}'` }
      if (entries.length < limits.min) {
        problems.push({ ...size, constraint: lengthAtLeast(limits.min) })
      }
      if (entries.length > limits.max) {
        problems.push({ ...size, constraint: lengthAtMost(limits.max) })
      }
      return Object.fromEntries(
        entries.map(([name, member]) => [
          readAt('key', key, name, problems),
          readAt(`${name}.member`, value, member, problems),
        ]),
      )
    },
  }
}

export function structure<const M extends Members>(members: M): Shape<Structure<M>> {
  const shapes = Object.entries(members).map(([name, shape]) => ({
    name,
    // In AWS's messages the names of members begin in lower case.
    path: name.charAt(0).toLowerCase() + name.slice(1),
    shape,
    isRequired: 'isRequired' in shape,
  }))
  return {
    read(value, problems) {
      if (!isObject(value)) throw notConvertible(value, 'Structure')
      const read: Record<string, unknown> = {}
      for (const { name, path, shape, isRequired } of shapes) {
        const given = value[name]
        if (given !== undefined && given !== null) {
          read[name] = readAt(path, shape, given, problems)
        } else if (isRequired) {
          problems.push({ path, value: 'null', constraint: 'Member must not be null' })
        }
      }
      return read as Structure<M>
    },
  }
}

function readAt<T>(path: string, shape: Shape<T>, value: unknown, problems: Problem[]): T {
  const before = problems.length
  const read = shape.read(value, problems)
  if (problems.length === before) return read
  for (const problem of problems.slice(before)) {
    problem.path = problem.path === '' ? path : `${path}.${problem.path}`
  }
  return read
}

/** True for a JSON object; false for the bytes and times of CBOR. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array) &&
    !(value instanceof Date)
  )
}

const lengthAtLeast = (min: number) => `Member must have length greater than or equal to ${min}`
const lengthAtMost = (max: number) => `Member must have length less than or equal to ${max}`

function quoted(value: string): string {
  const shown =
    value.length > valueCharactersMax ? `${value.slice(0, valueCharactersMax)}...` : value
  return `'${shown}'`
}

function notConvertible(value: unknown, type: string): ServiceError {
  return new ServiceError(
    'SerializationException',
    `${kindOf(value)} cannot be converted to ${type}`,
  )
}

/** The names that AWS's parser gives to JSON values. */
function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'LIST_VALUE'
  if (typeof value === 'boolean') return value ? 'TRUE_VALUE' : 'FALSE_VALUE'
  if (typeof value === 'object') return 'MAP_VALUE'
  return `${typeof value}_VALUE`.toUpperCase()
}
