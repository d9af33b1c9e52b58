import type { CallValue } from '../../aws/call/service-call.ts'
import type { SqlNumber } from '../../sql/values/numbers.ts'
import { isArray, isNumber, isObject } from '../../sql/values/values.ts'
import type { SqlObject, Value } from '../../sql/values/values.ts'

/** A value as DynamoDB's API writes it: `{"N": "12"}` [DynamoDB API Reference, AttributeValue]. */
export type Attribute = { readonly [type: string]: CallValue }

/** Amazon DynamoDB Developer Guide, "Supported data types and naming rules". */
const digitsMax = 38

/** The attributes of an item, or a map: one for each member. Throws NotAnAttribute. */
export function attributesOf(object: SqlObject): { readonly [name: string]: Attribute } {
  const members = Array.from(object, ([name, value]) => [name, attributeOf(value, name)] as const)
  return Object.fromEntries(members)
}

/** A value that DynamoDB cannot hold. */
export class NotAnAttribute extends Error {}

/**
 * @param name the member of the output, for the message
 * @throws NotAnAttribute for a number beyond DynamoDB's range
 */
export function attributeOf(value: Value, name: string): Attribute {
  if (typeof value === 'string') return { S: value }
  if (typeof value === 'boolean') return { BOOL: value }
  if (isArray(value)) return { L: value.map((item) => attributeOf(item, name)) }
  if (isObject(value)) return { M: attributesOf(value) }
  if (isNumber(value)) return { N: numberTextOf(value, name) }
  return { NULL: true }
}

function numberTextOf({ source = '' }: SqlNumber, name: string): string {
  const problem = numberProblem(source)
  if (problem !== undefined) throw new NotAnAttribute(`${name}: ${problem}`)
  return source
}

/** What is wrong with the text of a number attribute; undefined when DynamoDB takes it. */
export function numberProblem(text: string): string | undefined {
  const [, digits, exponentText = '0'] = /^[+-]?([\d.]+)(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  if (digits === undefined || !Number.isFinite(Number(digits))) return `"${text}" is not a number`
  const significant = digits.replace('.', '').replace(/^0+/, '')
  if (significant === '') return undefined
  if (significant.replace(/0+$/, '').length > digitsMax) {
    return `"${text}" has more than ${digitsMax} digits, which is all that DynamoDB keeps`
  }
  const magnitude = magnitudeOf(digits) + Number(exponentText)
  const isInRange = magnitude >= -130 && magnitude <= 125
  return isInRange ? undefined : `"${text}" is beyond the range of DynamoDB: 1E-130 to 9.99E+125`
}

/** The power of ten of the first significant digit. */
function magnitudeOf(digits: string): number {
  const [whole = '', fraction = ''] = digits.split('.')
  const significant = whole.replace(/^0+/, '')
  if (significant !== '') return significant.length - 1
  return -1 - (fraction.length - fraction.replace(/^0+/, '').length)
}
