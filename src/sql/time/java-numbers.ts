/** Parses the numbers of a java.time pattern. Numbers without a separator share their digits. */
import { mismatch, setField } from './java-parsing.ts'
import type { Field, Parse } from './java-parsing.ts'

/**
 * The signs that a number may have. normal: minus. notNegative: none. exceedsPad: minus, and a plus
 * exactly when the number has more digits than the pattern has letters.
 */
export type SignStyle = 'normal' | 'notNegative' | 'exceedsPad'

/** A number and its permitted digits. */
export interface NumberPart {
  readonly field: Field
  readonly digitsMin: number
  readonly digitsMax: number
  readonly sign: SignStyle
  /**
   * The meaning of the digits: a number, a year from 2000 to 2099, or a fraction of a second.
   */
  readonly reading: 'number' | 'yearOfCentury' | 'fraction'
  /** Whether an adjacent number before it leaves digits to this one. */
  readonly isFixed: boolean
}

/** The most digits of a number that fit a long. */
export const digitsMax = 19
const longMax = '9223372036854775807'
/** The year from which two digits count. */
const baseYear = 2000

export function numberPart(
  field: Field,
  digits: readonly [min: number, max: number],
  sign: SignStyle,
  reading: NumberPart['reading'] = 'number',
): NumberPart {
  const [digitsLeast, digitsMost] = digits
  return {
    field,
    digitsMin: digitsLeast,
    digitsMax: digitsMost,
    sign,
    reading,
    isFixed: digitsLeast === digitsMost && sign === 'notNegative',
  }
}

/** @param digitsReserved digits that belong to the numbers of fixed width right after it */
export function parseNumber(part: NumberPart, digitsReserved: number): Parse {
  return part.reading === 'fraction' ? parseFraction(part) : parseInteger(part, digitsReserved)
}

function digitsFrom(text: string, position: number, count: number): number {
  let end = position
  while (end < text.length && end - position < count && isDigit(text, end)) end++
  return end - position
}

function isDigit(text: string, position: number): boolean {
  const code = text.charCodeAt(position)
  return code >= 0x30 && code <= 0x39
}

function parseInteger(part: NumberPart, digitsReserved: number): Parse {
  const { field, digitsMin, sign, reading } = part
  return (text, position, state) => {
    const first = text.charAt(position)
    const hasPlus = first === '+'
    const isNegative = first === '-'
    if (hasPlus && sign !== 'exceedsPad') return mismatch
    if (isNegative && sign === 'notNegative') return mismatch
    const start = hasPlus || isNegative ? position + 1 : position
    const available = digitsFrom(text, start, part.digitsMax + digitsReserved)
    if (available < digitsMin) return mismatch
    const count = digitsReserved === 0 ? available : Math.max(digitsMin, available - digitsReserved)
    if (!isSignInPlace(part, count, hasPlus, isNegative)) return mismatch
    const taken = fitting(text.slice(start, start + count))
    const size = Number(taken)
    if (isNegative && size === 0) return mismatch
    const value = isNegative ? -size : size
    const end = start + taken.length
    const isShortYear = reading === 'yearOfCentury' && taken.length === digitsMin
    return setField(state, field, isShortYear ? baseYear + value : value, end)
  }
}

function isSignInPlace(
  { sign, digitsMin }: NumberPart,
  count: number,
  hasPlus: boolean,
  isNegative: boolean,
): boolean {
  if (sign !== 'exceedsPad' || isNegative) return true
  return hasPlus === count > digitsMin
}

/** Drops the last digit when the number is too large for a long. */
function fitting(digits: string): string {
  if (digits.length < digitsMax) return digits
  const leading = digits.slice(0, digitsMax)
  return leading > longMax ? leading.slice(0, -1) : leading
}

function parseFraction({ field, digitsMin, digitsMax: digitsMost }: NumberPart): Parse {
  return (text, position, state) => {
    const count = digitsFrom(text, position, digitsMost)
    if (count < digitsMin) return mismatch
    const nanos = Number(text.slice(position, position + count).padEnd(9, '0'))
    return setField(state, field, nanos, position + count)
  }
}
