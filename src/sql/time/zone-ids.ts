/**
 * Finds zones by id or name, like the two libraries whose patterns the functions take: Joda-Time
 * finds a zone by id, and java.time also reads names in a text.
 */
import { zoneLinksTable } from './zone-links-table.ts'
import { namelessZones, zoneNamesTable } from './zone-names-table.ts'
import { createFixedZone, findRegionZone } from './zones.ts'
import type { Zone } from './zones.ts'

interface ZoneNames {
  readonly longStandard: string
  readonly shortStandard: string
  readonly longDaylight: string
  readonly shortDaylight: string
}

interface ZoneTable {
  /** Every id of this release, with the canonical id that is written. */
  readonly canonicalIds: ReadonlyMap<string, string>
  /** By canonical id. */
  readonly names: ReadonlyMap<string, ZoneNames>
  /** The names and ids that java.time reads for a short or a long name in a pattern. */
  readonly shortTexts: ReadonlyMap<string, string>
  readonly longTexts: ReadonlyMap<string, string>
  /** The ids that java.time reads for an id in a pattern. */
  readonly ids: ReadonlyMap<string, string>
}

/** Ids that Joda-Time has and java.time does not. */
const jodaOnly: ReadonlySet<string> = new Set(['EST', 'HST', 'MST', 'ROC', 'GMT+0', 'GMT-0'])
/** Ids such as Etc/GMT+5, which java.time does not read among names. */
const isOffsetId = (id: string) => /^(?:Etc\/)?GMT[+-]?\d/.test(id)
/** Names of two zones for which the order of the rows would choose the wrong zone. */
const exceptions: readonly (readonly [string, string])[] = [
  ['Chile Standard Time', 'America/Santiago'],
  ['Moscow Daylight Time', 'Europe/Kirov'],
]

let table: ZoneTable | undefined

/** Read at the first use of a zone, because most rules use none. */
function zoneTable(): ZoneTable {
  table ??= readTable()
  return table
}

function readTable(): ZoneTable {
  const canonicalIds = new Map<string, string>()
  const names = new Map<string, ZoneNames>()
  const shortNames: [string, string][] = []
  const longNames: [string, string][] = []
  for (const row of rowsOf(zoneNamesTable)) {
    const end = row.indexOf(': ')
    const texts = row.slice(0, end).split('|')
    const [first = '', ...others] = row.slice(end + 2).split(' ')
    const readAs = first.startsWith('=') ? first.slice(1) : first
    const [longStandard = '', shortStandard = '', longDaylight = '', shortDaylight = ''] = texts
    for (const id of first.startsWith('=') ? others : [first, ...others]) {
      canonicalIds.set(id, id)
      names.set(id, { longStandard, shortStandard, longDaylight, shortDaylight })
    }
    if (readAs === '') continue
    texts.forEach((text, index) => (index % 2 === 0 ? longNames : shortNames).push([text, readAs]))
  }
  for (const id of rowsOf(namelessZones).flatMap((row) => row.split(' '))) canonicalIds.set(id, id)
  for (const row of rowsOf(zoneLinksTable)) {
    const [target = '', ...links] = row.split(' ')
    for (const link of links) canonicalIds.set(link, target)
  }
  const ids = [...canonicalIds.keys()].filter((id) => !jodaOnly.has(id))
  const pairs = ids.map((id): [string, string] => [id, id])
  const readable = pairs.filter(([id]) => !isOffsetId(id))
  return {
    canonicalIds,
    names,
    shortTexts: new Map([...readable, ...shortNames]),
    longTexts: new Map([...readable, ...longNames, ...exceptions]),
    ids: new Map(pairs),
  }
}

/** A line that starts with a blank continues the line before. */
function rowsOf(text: string): readonly string[] {
  return text.trim().replaceAll('\n ', ' ').split('\n')
}

const jodaOffset = /^[+-](\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.?(\d{1,3}))?)?)?$/

/**
 * The zone of a Joda-Time id: `America/New_York`, `UTC`, `+05:30`, `-08`. Ids are case-sensitive.
 *
 * @returns undefined when there is no such zone
 */
export function findJodaZone(id: string): Zone | undefined {
  if (id.startsWith('+') || id.startsWith('-')) return jodaOffsetZone(id)
  if (id === 'UTC') return utc
  return findRegion(zoneTable().canonicalIds.get(id) ?? id)
}

/** UTC, which has no changes of offset. */
const utc = createFixedZone('UTC', 0)

/**
 * `Intl` accepts any letter case and ids that neither library has. Zones newer than the table are
 * allowed.
 */
function findRegion(id: string): Zone | undefined {
  if (zoneTable().canonicalIds.has(id)) return findRegionZone(id)
  return id.includes('/') && Intl.supportedValuesOf('timeZone').includes(id)
    ? findRegionZone(id)
    : undefined
}

function jodaOffsetZone(id: string): Zone | undefined {
  const match = jodaOffset.exec(id)
  if (match === null) return undefined
  const [, hours = '0', minutes = '0', seconds = '0', fraction = ''] = match
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return undefined
  const ms = Number(fraction.padEnd(3, '0'))
  const size = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000 + ms
  if (size === 0) return utc
  const offset = id.startsWith('-') ? -size : size
  return createFixedZone(offsetId(offset), offset)
}

/** Writes `+05:30`, with seconds and milliseconds unless they are 0. */
export function offsetId(offsetMs: number): string {
  const size = Math.abs(offsetMs)
  const pair = (unitMs: number) => twoDigits(Math.floor(size / unitMs) % 60)
  const ms = size % 1000
  let text = `${offsetMs < 0 ? '-' : '+'}${pair(3_600_000)}:${pair(60_000)}`
  if (size % 60_000 !== 0) text += `:${pair(1000)}`
  return ms === 0 ? text : `${text}.${String(ms).padStart(3, '0')}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

/** The English names of a zone by its canonical id; undefined when it has none. */
export function zoneNamesOf(id: string): ZoneNames | undefined {
  return zoneTable().names.get(id)
}

/** The kinds of text that java.time reads as a zone. */
export type ZoneTextKind = 'id' | 'short' | 'long'

/** The length of the longest name or id. */
const textLengthMax = 64

/** The longest name or id at a position in the text, and its zone. */
export function matchZoneText(
  kind: ZoneTextKind,
  text: string,
  position: number,
): { readonly zoneId: string; readonly end: number } | undefined {
  const { ids, shortTexts, longTexts } = zoneTable()
  const texts = kind === 'id' ? ids : kind === 'short' ? shortTexts : longTexts
  for (let end = Math.min(text.length, position + textLengthMax); end > position; end--) {
    const zoneId = texts.get(text.slice(position, end))
    if (zoneId !== undefined) return { zoneId, end }
  }
  return undefined
}
