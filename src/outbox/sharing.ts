/**
 * Which records of a message share it. What two or more of them hold in common is stored once: the
 * message, and data that they agree on byte for byte. Small messages and single records do not
 * share: their bytes are cheaper to write again than a record for the message.
 */
import { propertiesBytes } from '../storage/stored-properties.ts'
import type { NewRecord, SharedMessage } from './store/queued-record.ts'
import { encodeRecord } from './store/record-codec.ts'
import type { MessageReference } from './store/record-codec.ts'
import { headerBytes, payloadEndOf, referenceBytes } from './store/record-layout.ts'
import type { SourceMessage } from './store/source-message.ts'

/** Bytes that sharing has to save. */
const savedBytesMin = 4 * 1024
/** Different data of one message that are shared. Each record is compared with all of them. */
const sharedDataMax = 16
/** Roughly what the names of a message take. */
const namesBytes = 100

/** What records of one message share. */
interface Share {
  readonly source: SourceMessage
  /** The data that they agree on, without that which is the payload. */
  readonly data: readonly Buffer[]
  /** Roughly what it takes on disk. */
  readonly bytes: number
}

/** What one record shares. */
export interface Place {
  readonly share: Share
  /** Where its data is: an index in `data` of the share, or one of the two below. */
  readonly data: number
}

/** The data of the record is the payload, or is in the record itself. */
const isPayload = -1
const isOwn = -2

/** For each record what it shares; undefined for one that shares nothing. */
type Sharing = readonly (Place | undefined)[]

/**
 * @param records of one append; those of one message follow each other
 * @returns undefined when none of them shares anything
 */
export function sharingOf(records: readonly NewRecord[]): Sharing | undefined {
  if (records.length < 2 || records[0]?.encoded !== undefined) return undefined
  const sharing: (Place | undefined)[] = []
  let isShared = false
  for (let first = 0; first < records.length; first = sharing.length) {
    const source = records[first]?.source
    let end = first + 1
    while (end < records.length && records[end]?.source === source) end += 1
    const places = end - first < 2 ? undefined : placesOf(records.slice(first, end))
    isShared ||= places !== undefined
    for (let index = first; index < end; index++) sharing.push(places?.[index - first])
  }
  return isShared ? sharing : undefined
}

/** Roughly what the data of a record takes beside its message. */
export function ownDataBytes({ data }: NewRecord, place: Place | undefined): number {
  return place === undefined || place.data === isOwn ? data.length : 0
}

/** What the records of one message share, if that saves enough. */
function placesOf(records: readonly NewRecord[]): readonly (Place | undefined)[] | undefined {
  const [first] = records
  if (first === undefined || !mayBeWorthIt(records, first.source)) return undefined
  const { payload } = first.source
  const found: { readonly data: Buffer; count: number }[] = []
  const indexes = records.map(({ data, failed }) => {
    if (failed !== undefined) return undefined
    if (areSame(data, payload)) return isPayload
    const index = found.findIndex((one) => areSame(one.data, data))
    const known = found[index]
    if (known === undefined && found.length === sharedDataMax) return isOwn
    if (known === undefined) return found.push({ data, count: 1 }) - 1
    known.count += 1
    return index
  })
  const data = found.filter(({ count }) => count > 1).map((one) => one.data)
  const bytes = data.reduce(
    (sum, { length }) => sum + length,
    headerBytes + factsBytes(first.source) + payload.length,
  )
  const share = { source: first.source, data, bytes }
  const places = indexes.map((index): Place | undefined => {
    if (index === undefined) return undefined
    const one = found[index]
    if (one === undefined) return { share, data: index }
    return { share, data: one.count > 1 ? data.indexOf(one.data) : isOwn }
  })
  return savedBytes(records, places, share) < savedBytesMin ? undefined : places
}

/** Spares the comparing where nothing can come of it. */
function mayBeWorthIt(records: readonly NewRecord[], source: SourceMessage): boolean {
  const sharedBytes = factsBytes(source) + source.payload.length
  let bytes = 0
  for (const { data } of records) bytes += sharedBytes + data.length
  return bytes >= savedBytesMin
}

/** Roughly what is known of a message takes on disk, beside its payload. */
const factsBytes = ({ mqtt5 }: SourceMessage): number =>
  namesBytes + (mqtt5 === undefined ? 0 : propertiesBytes(mqtt5))

function savedBytes(records: readonly NewRecord[], places: Sharing, share: Share): number {
  const ofMessage = factsBytes(share.source)
  let saved = -share.bytes
  for (const [index, { data }] of records.entries()) {
    const place = places[index]
    if (place === undefined) continue
    const payloadBytes = place.data === isPayload ? 0 : share.source.payload.length
    saved += ofMessage + payloadBytes - referenceBytes
    if (place.data !== isOwn) saved += data.length
  }
  return saved
}

const areSame = (left: Buffer, right: Buffer): boolean =>
  left === right || (left.length === right.length && left.equals(right))

/** A message on its way to disk, and where the parts that are shared begin in its value. */
export interface EncodedShare {
  readonly share: Share
  readonly message: SharedMessage
  readonly referenceOf: (place: Place) => MessageReference
}

/** @param id the sequence of the message */
export function encodeShare(share: Share, id: number, acceptedAtMs: number): EncodedShare {
  const { source, data } = share
  const all = Buffer.concat(data)
  const nobody = { ruleName: '', actionIndex: 0, partitionKey: '' }
  const value = encodeRecord({ ...nobody, data: all, source }, acceptedAtMs)
  const { payload } = source
  // The payload is the last of them, or the data where the two are the same.
  const payloadEnd = payloadEndOf(value)
  const payloadStart = payloadEnd - payload.length
  const hasOwnPayload = payload.length > 0 && !areSame(all, payload)
  let start = (hasOwnPayload ? payloadStart : payloadEnd) - all.length
  const starts = data.map(({ length }) => {
    start += length
    return start - length
  })
  return {
    share,
    message: { id, value },
    referenceOf: ({ data: index }) => ({
      id,
      bytes: value.length,
      dataStart: index === isPayload ? payloadStart : (starts[index] ?? 0),
    }),
  }
}
