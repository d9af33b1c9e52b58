/** Random statements that do much with a message, from a seed. */
import { functionTable } from '../../../src/sql/functions/table.ts'

/** Values from 0 up to, and not, 1. */
export type Random = () => number

/** The same values for the same seed (Mulberry32). */
export function randomFrom(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

export function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new Error('there is nothing to pick from')
  return item
}

const external: ReadonlySet<string> = new Set(
  'aws_lambda get_dynamodb get_secret get_thing_shadow get_registry_data'.split(' '),
)
const functions = [...functionTable.values()].filter(({ name }) => !external.has(name))
const operators = '+ - * / % = <> < <= > >= IN AND OR'.split(' ')
const variables = '@t @l @n @a @o @b'.split(' ')
const constants =
  "1 2.5 1000 'a' 't' 'base64' 'enrichArray' '[0-9]+;|[0-9]' '(a|t)*b' 'yyyy-MM-dd' 'Europe/Berlin'".split(
    ' ',
  )

/** `SET` of what the payloads hold, and a SELECT whose value may be of any size. */
export function randomStatement(random: Random): string {
  const value = expression(random, 4)
  const selected = random() < 0.5 ? `isUndefined(${value})` : value
  return `SET @t = t, @l = r, @n = n, @a = a, @o = o, @b = b SELECT ${selected} AS y FROM 'q/+'`
}

function expression(random: Random, depth: number): string {
  const inner = () => expression(random, depth - 1)
  const choice = depth === 0 ? random() * 0.3 : random()
  if (choice < 0.15) return pick(random, variables)
  if (choice < 0.22) return pick(random, ['x', 'x.a', 'x.b.c', 'get(x, 0)'])
  if (choice < 0.3) return pick(random, constants)
  if (choice < 0.6) return query(random, depth)
  if (choice < 0.85) return call(random, inner)
  if (choice < 0.95) return `(${inner()} ${pick(random, operators)} ${inner()})`
  if (choice < 0.97) return `[${inner()}, ${inner()}]`
  return random() < 0.5 ? `{'k': ${inner()}}` : `cast(${inner()} AS string)`
}

function query(random: Random, depth: number): string {
  const inner = () => expression(random, depth - 1)
  const selection = pick(random, [
    () => `VALUE ${inner()}`,
    () => `${inner()} AS k, ${inner()} AS l.m`,
    () => `*, ${inner()} AS k`,
  ])()
  const source = random() < 0.7 ? '@l' : `(${inner()})`
  const where = random() < 0.3 ? ` WHERE ${inner()}` : ''
  return `(SELECT ${selection} FROM ${source} AS x${where})`
}

function call(random: Random, inner: () => string): string {
  const { name, arity } = pick(random, functions)
  const [fewest, most] = arity
  const count = fewest + Math.floor(random() * (Math.min(most, fewest + 2) - fewest + 1))
  const values = Array.from({ length: count }, inner)
  // These want a constant of their own, or are refused.
  if (name === 'transform') values[0] = "'enrichArray'"
  if (name === 'encode' || name === 'decode') return `${name}(${values[0] ?? '1'}, 'base64')`
  return `${name}(${values.join(', ')})`
}
