import { writeJson } from '../../sql/values/json-writer.ts'
import { isNumber, isObject } from '../../sql/values/values.ts'
import type { SqlObject, Value } from '../../sql/values/values.ts'
import { outputDialect } from './json-output.ts'

/** A text, or a path into each element of the output: `@{meta.id}`. */
export type TextOrPath =
  { readonly text: string } | { readonly path: readonly [root: string, ...rest: string[]] }

/** How elements of an output become points of InfluxDB. */
export interface PointForm {
  readonly table: TextOrPath
  readonly tags: readonly (readonly [name: string, value: TextOrPath])[]
  /** Of every point. Absent: each element has an integer `timestamp`. */
  readonly time?: string | undefined
}

/** AWS IoT developer guide, "InfluxDB": tags, fields and the time of a point. */
const columnsMax = 250
/** A field is never longer, because the output of a rule is not. */
const jsonLengthMax = 1_024 * 1_024

/**
 * The line of InfluxDB's line protocol for one element, or what is wrong with the element.
 *
 * A text that would end its place is refused, because the rest would be another point: the protocol
 * has no way to write a line break in a name or a tag, nor a backslash at the end of either.
 */
export function influxdbLine(
  element: SqlObject,
  { table, tags, time }: PointForm,
): { readonly line: string } | { readonly problem: string } {
  const paths = [table, ...tags.map(([, value]) => value)]
  const roots = paths.flatMap((each) => ('path' in each ? [each.path[0]] : []))
  const columns = new Set(['timestamp'])
  try {
    const place = plainKey(textOf(element, table) ?? '', 'tableName')
    if (place.startsWith('#')) throw new Unwritable('the tableName begins with "#"')
    const written = tags
      .map(([name, value]) => [keyText(name, 'a tag'), textOf(element, value) ?? ''] as const)
      .filter(([, value]) => value !== '')
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, value]) => {
        if (columns.has(name)) throw new Unwritable(`the tag ${name} is there twice`)
        columns.add(name)
        return `,${escaped(name)}=${escaped(wordText(value, `the tag ${name}`))}`
      })
    const fields = [...element]
      .filter(([name]) => time !== undefined || name !== 'timestamp')
      .filter(([name, value]) => value !== null && !roots.includes(name))
      .map(([name, value]) => {
        if (columns.has(name)) throw new Unwritable(`${name} is a tag and a field`)
        columns.add(name)
        return `${escaped(plainKey(name, 'a field'))}=${fieldText(value, name)}`
      })
    if (fields.length === 0) throw new Unwritable('there is no field')
    if (columns.size > columnsMax) {
      throw new Unwritable(`there are ${columns.size} columns; at most ${columnsMax} are taken`)
    }
    const measurement = place.replace(/[ ,]/g, String.raw`\$&`)
    const at = time ?? timeOf(element.get('timestamp'))
    return { line: `${measurement}${written.join('')} ${fields.join(',')} ${at}` }
  } catch (thrown) {
    if (!(thrown instanceof Unwritable)) throw thrown
    return { problem: thrown.message }
  }
}

/** What keeps an element from being a point. */
class Unwritable extends Error {
  override readonly name = 'Unwritable'
}

/** Undefined, null and an empty text give no tag. */
function textOf(element: SqlObject, given: TextOrPath): string | undefined {
  if ('text' in given) return given.text
  const value = given.path.reduce<Value>(
    (inside, name) => (isObject(inside) ? inside.get(name) : undefined),
    element,
  )
  if (value === undefined || value === null) return undefined
  return typeof value === 'string' ? value : jsonOf(value)
}

/** The name of a table, a tag or a field. */
function keyText(name: string, what: string): string {
  if (name === '') throw new Unwritable(`${what} has an empty name`)
  if (name.startsWith('_')) throw new Unwritable(`the name "${name}" begins with "_"`)
  return wordText(name, `the name of ${what}`)
}

/**
 * The name of a table or a field. InfluxDB 2 takes a backslash before one of these characters for
 * its escape, and stores another name, or points that no query finds.
 */
function plainKey(name: string, what: string): string {
  const [pair] = /\\[ ,="]/.exec(name) ?? []
  if (pair !== undefined) throw new Unwritable(`the name of ${what} holds ${pair}`)
  return keyText(name, what)
}

function wordText(text: string, what: string): string {
  if (/[\r\n]/.test(text)) throw new Unwritable(`${what} holds a line break`)
  if (text.endsWith('\\')) throw new Unwritable(`${what} ends with a backslash`)
  return text
}

const escaped = (text: string): string => text.replace(/[ ,=]/g, String.raw`\$&`)

const intMax = 2n ** 63n - 1n
const intMin = -(2n ** 63n)
const unsignedMax = 2n ** 64n - 1n

function fieldText(value: Value, name: string): string {
  if (typeof value === 'boolean') return value ? 't' : 'f'
  if (isNumber(value)) return numberText(value, name)
  const text = typeof value === 'string' ? value : jsonOf(value)
  return `"${text.replace(/["\\]/g, String.raw`\$&`)}"`
}

function numberText(value: Extract<Value, { form: string }>, name: string): string {
  const text = jsonOf(value)
  if (value.form !== 'integer') return text
  const whole = BigInt(text)
  if (whole >= intMin && whole <= intMax) return `${whole}i`
  if (whole > 0n && whole <= unsignedMax) return `${whole}u`
  throw new Unwritable(`${name} is an integer of more than 64 bits`)
}

function timeOf(value: Value): string {
  const isWhole = isNumber(value) && value.form === 'integer'
  const time = isWhole ? BigInt(jsonOf(value)) : undefined
  if (time !== undefined && time >= intMin && time <= intMax) return String(time)
  throw new Unwritable('there is no integer "timestamp" of 64 bits')
}

const jsonOf = (value: Value): string => writeJson(value, outputDialect, jsonLengthMax) ?? ''
