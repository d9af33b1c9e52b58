import type { TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { shorten } from '../base/errors.ts'
import { memberOf, sentenceOf } from '../base/schema-problem.ts'

/** What is wrong with a name that no member has. */
interface UnknownName {
  /** Comes after the field: ` is not a known member`. */
  readonly problem: string
  /** The member that was meant, when only one can be: its value is read as that of the member. */
  readonly meant?: string | undefined
}

interface SchemaReader {
  /** Told of each fault, in the order of the schema. */
  readonly report: (field: string, problem: string) => void
  readonly unknownName: (name: string, names: readonly string[], schema: TSchema) => UnknownName
}

/** The parts of a JSON Schema that the documents of rules use. */
interface Keywords {
  readonly type?: string
  readonly pattern?: string
  readonly minimum?: number
  readonly enum?: readonly unknown[]
  readonly items?: TSchema
  readonly properties?: Readonly<Record<string, TSchema>>
  readonly required?: readonly string[]
  readonly patternProperties?: Readonly<Record<string, TSchema>>
}

/** Characters of a name from outside that a message shows. */
const shownCharactersMax = 100

/**
 * Reads a document that does not fit its schema, to find all its faults. (The compiled schema
 * stops after a few.) The work is in proportion to the document, and no deeper than the schema.
 *
 * @returns the document with the types of the schema: what is missing or of another type has a
 *   stand-in that no check refuses, and unknown members are gone, so that the rest can be checked
 */
export function readBySchema(
  schema: TSchema,
  given: unknown,
  field: string,
  reader: SchemaReader,
): unknown {
  const { items, properties, patternProperties, required, ...own } = schema as Keywords
  // Closed objects and their members are read below.
  const errors = Value.Errors({ ...own, additionalProperties: true }, given)
  for (const error of errors) reader.report(field || 'the document', ` ${sentenceOf(error)}`)
  if (errors.some(({ keyword }) => keyword === 'type')) return standIn(schema)
  if (Array.isArray(given)) {
    if (items === undefined) return given
    return given.map((item: unknown, index) =>
      readBySchema(items, item, memberOf(field, String(index)), reader),
    )
  }
  if (!isRecord(given)) return given
  const [ofAll] = Object.values(patternProperties ?? {})
  if (ofAll !== undefined) {
    return Object.fromEntries(
      Object.entries(given).map(([name, value]) => [
        name,
        readBySchema(ofAll, value, memberOf(field, shorten(name, shownCharactersMax)), reader),
      ]),
    )
  }
  if (properties === undefined) return given
  return readMembers({ schema, properties, required: required ?? [] }, given, field, reader)
}

function readMembers(
  {
    schema,
    properties,
    required,
  }: { readonly schema: TSchema } & Required<Pick<Keywords, 'properties' | 'required'>>,
  given: Readonly<Record<string, unknown>>,
  field: string,
  reader: SchemaReader,
): unknown {
  const names = Object.keys(properties)
  const members = new Map(Object.entries(given).filter(([name]) => names.includes(name)))
  for (const [name, value] of Object.entries(given)) {
    if (names.includes(name)) continue
    const { problem, meant } = reader.unknownName(name, names, schema)
    reader.report(memberOf(field, shorten(name, shownCharactersMax)), problem)
    if (meant !== undefined && !members.has(meant)) members.set(meant, value)
  }
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, member]): [string, unknown][] => {
      const where = memberOf(field, name)
      if (members.has(name)) {
        const value = members.get(name)
        const isUsable = required.includes(name) || isOfType(member, value)
        const read = readBySchema(member, value, where, reader)
        return isUsable ? [[name, read]] : []
      }
      if (!required.includes(name)) return []
      reader.report(where, ' is missing')
      return [[name, standIn(member)]]
    }),
  )
}

/** An optional member of another type is left out. */
function isOfType(schema: TSchema, value: unknown): boolean {
  const { type } = schema as Keywords
  return type === undefined || Value.Check({ type }, value)
}

/** A value of the right type: a text that takes templates gets one, which no check refuses. */
function standIn(schema: TSchema): unknown {
  const { type, pattern, minimum = 0, properties = {}, required = [], ...own } = schema as Keywords
  if (own.enum !== undefined) return own.enum[0]
  if (type === 'string') return pattern === undefined ? '${topic()}' : 'x'
  if (type === 'array') return []
  if (type === 'boolean') return false
  if (type !== 'object') return minimum
  return Object.fromEntries(required.map((name) => [name, standIn(properties[name] ?? {})]))
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
