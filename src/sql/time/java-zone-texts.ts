/** Parses the offsets and zones of a java.time pattern. */
import { failure, mismatch, setField } from './java-parsing.ts'
import type { Parse, ParseState } from './java-parsing.ts'
import { matchZoneText, offsetId } from './zone-ids.ts'
import type { ZoneTextKind } from './zone-ids.ts'
import { createFixedZone, findRegionZone } from './zones.ts'

/** A part of an offset after the hours. */
type Presence = 'absent' | 'optional' | 'required'

export interface OffsetFormat {
  readonly minutes: Presence
  readonly seconds: Presence
  readonly hasColons: boolean
}

/** The largest offset in Java. */
export const offsetSecondsMax = 18 * 3600

/** Parses offsets such as `+0530` and `-08:00`. @param zero the text for offset 0, such as `Z` */
export function parseOffset(format: OffsetFormat, zero: string): Parse {
  return (text, position, state) => {
    const read = readOffset(format, zero, text, position)
    if (typeof read === 'number') return read
    return setField(state, 'offsetSeconds', read.seconds, read.end)
  }
}

function readOffset(
  { minutes, seconds, hasColons }: OffsetFormat,
  zero: string,
  text: string,
  position: number,
): { seconds: number; end: number } | number {
  if (position === text.length) return mismatch
  if (text.startsWith(zero, position)) return { seconds: 0, end: position + zero.length }
  const sign = text.charAt(position)
  if (sign !== '+' && sign !== '-') return mismatch
  const values = [0, 0, 0]
  let end = position + 1
  for (const [index, presence] of (['required', minutes, seconds] as const).entries()) {
    if (presence === 'absent') break
    const value = readPair(text, end, hasColons && index > 0)
    if (value === undefined) {
      if (presence === 'required') return mismatch
      continue
    }
    values[index] = value
    end += hasColons && index > 0 ? 3 : 2
  }
  const [hour = 0, minute = 0, second = 0] = values
  if (hour > 23) return failure
  const size = hour * 3600 + minute * 60 + second
  return { seconds: sign === '-' ? -size : size, end }
}

/** Two digits up to 59, after a colon where the pattern has one. */
function readPair(text: string, position: number, hasColon: boolean): number | undefined {
  if (hasColon && text.charAt(position) !== ':') return undefined
  const pair = text.slice(hasColon ? position + 1 : position).slice(0, 2)
  return /^[0-5]\d$/.test(pair) ? Number(pair) : undefined
}

const longOffset = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?/
const shortOffset = /^GMT(?:([+-])(\d\d?)(?::(\d\d)(?::(\d\d))?)?)?/
/** The text ends before its offset does. */
const brokenOffset = /^[+-](?:\d(?:\d(?::\d?)?)?)?$/

/** Parses `GMT+8` or `GMT+08:00`; `GMT` alone is offset 0. */
export function parseGmtOffset(isLong: boolean): Parse {
  const format = isLong ? longOffset : shortOffset
  return (text, position, state) => {
    const match = format.exec(text.slice(position, position + 'GMT+00:00:00'.length))
    if (match === null) return mismatch
    const [matched, sign, hours = '0', minutes = '0', seconds = '0'] = match
    const end = position + matched.length
    const rest = text.slice(end, end + 'GMT+00:00'.length)
    if (sign === undefined && /^[+-]/.test(rest))
      return brokenOffset.test(rest) ? failure : mismatch
    const size = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
    return setField(state, 'offsetSeconds', sign === '-' ? -size : size, end)
  }
}

const offsetOfId: OffsetFormat = { minutes: 'required', seconds: 'optional', hasColons: true }

/** Parses an id, an offset, or a name where the pattern asks for names. */
export function parseZone(kind: ZoneTextKind): Parse {
  return (text, position, state) => {
    const first = text.charAt(position)
    if (first === '+' || first === '-') return readZoneOffset(text, position, position, state)
    const prefix = /^(?:UTC?|GMT0?)/.exec(text.slice(position, position + 4))?.[0]
    if (prefix !== undefined) {
      const start = position + prefix.length
      if (prefix === 'GMT0') return setOffsetZone(state, prefix, 0, start)
      return readZoneOffset(text, position, start, state)
    }
    const found = matchZoneText(kind, text, position)
    if (found === undefined) {
      return first === 'Z' ? setOffsetZone(state, 'Z', 0, position + 1) : mismatch
    }
    const zone = findRegionZone(found.zoneId)
    if (zone === undefined) return mismatch
    state.zone = zone
    return found.end
  }
}

/**
 * Parses the offset after `UTC`, `GMT`, `UT` or nothing. Without an offset the prefix counts alone.
 */
function readZoneOffset(text: string, start: number, position: number, state: ParseState): number {
  const prefix = text.slice(start, position)
  const next = text.charAt(position)
  if (next === '' || next === '0' || next === 'Z') return setOffsetZone(state, prefix, 0, position)
  const read = readOffset(offsetOfId, prefix === '' ? 'Z' : '0', text, position)
  if (read === failure) return failure
  if (typeof read === 'number') {
    return prefix === '' ? mismatch : setOffsetZone(state, prefix, 0, position)
  }
  if (Math.abs(read.seconds) > offsetSecondsMax) return mismatch
  return setOffsetZone(state, prefix, read.seconds, read.end)
}

function setOffsetZone(state: ParseState, prefix: string, seconds: number, end: number): number {
  const offsetMs = seconds * 1000
  state.zone = createFixedZone(prefix + (seconds === 0 ? '' : offsetId(offsetMs)), offsetMs)
  return end
}
