/** Numbers in a java.time pattern, and how neighbours without a separator share their digits. */
import { mismatch, setField } from './java-parsing.ts'
import type { Field, Parse } from './java-parsing.ts'

/**
 * Which signs a number may have. normal: minus. notNegative: none. exceedsPad: minus, and a plus
 * that is there exactly when there are more digits than the pattern has letters.
 */
export type SignStyle = 'normal' | 'notNegative' | 'exceedsPad'

/** A number of so many digits. */
export interface NumberPart {
  readonly field: Field
  readonly digitsMin: number
  readonly digitsMax: number
  readonly sign: SignStyle
  /**
   * How the digits are read: as a number, as a year from 2000 to 2099, or as a fraction of a
   * second.
   */
  readonly reading: 'number' | 'yearOfCentury' | 'fraction'
  /** Whether it takes digits from a number right before it, which then leaves them to it. */
  readonly isFixed: boolean
}

/** Digits of a number at most; more do not fit a long. */
export const digitsMax = 19
const longMax = '9223372036854775807'
/** The year that two digits count from. */
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

/** Without the last digit if the number is too big for a long. */
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
