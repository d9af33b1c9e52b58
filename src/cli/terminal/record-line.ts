import { isUtf8 } from 'node:buffer'
import { printableLine } from '../../telemetry/printable.ts'
import type { ConsumedRecord } from '../../consumers/consumed-batch.ts'
import { parseSequenceNumber } from '../../lab/streams/sequence-number.ts'
import { paint } from './host.ts'
import type { Output } from './host.ts'

/** Bytes that are not text are shown in hexadecimal, so many at most. */
const hexBytesMax = 64

/**
 * A record for a person: when, how long ago, which shard, key, data on one line, and the end of its
 * sequence number, which `jsonLine` has whole.
 */
export function textLine(output: Output, record: ConsumedRecord, nowMs: number): string {
  const { approximateArrivalMs: arrivedMs } = record
  const time = new Date(arrivedMs).toISOString().slice(11, 23)
  const shard = record.shardId.replace(/^shardId-0*(?=\d)/, 'shard ')
  const part = record.subSequenceNumber === undefined ? '' : `/${record.subSequenceNumber}`
  return [
    time,
    paint(output, 'dim', ageText(nowMs - arrivedMs).padStart(6)),
    shard,
    paint(output, 'cyan', onOneLine(record.partitionKey)),
    dataText(record.data),
    paint(output, 'dim', `${shortSequenceNumber(record)}${part}`),
  ]
    .join('  ')
    .concat('\n')
}

/** Digits of a number of AWS that tell the records of a shard apart. */
const shownDigits = 12

/** Nobody reads 56 digits: the place in its shard for a record of the lab, else the last digits. */
function shortSequenceNumber({ sequenceNumber, approximateArrivalMs }: ConsumedRecord): string {
  const parts = parseSequenceNumber(sequenceNumber)
  // One of AWS may look like one of the lab, though not with the time of its record in it.
  if (parts?.arrivalMs === approximateArrivalMs) return `#${parts.ordinal}`
  const { length } = sequenceNumber
  return length > shownDigits ? `..${sequenceNumber.slice(-shownDigits)}` : sequenceNumber
}

/** A record for a program: nothing is lost. */
export function jsonLine(record: ConsumedRecord): string {
  const { data, approximateArrivalMs, ...rest } = record
  return `${JSON.stringify({
    ...rest,
    approximateArrivalTimestamp: new Date(approximateArrivalMs).toISOString(),
    data: data.toString('base64'),
  })}\n`
}

/** Text on one line; of other bytes, how many there are and the first of them. */
export function dataText(data: Buffer): string {
  if (isUtf8(data)) return onOneLine(data.toString('utf8'))
  const rest = data.length > hexBytesMax ? '...' : ''
  return `${data.length} bytes ${data.subarray(0, hexBytesMax).toString('hex')}${rest}`
}

/**
 * Lines of a JSON document are joined; other control characters are written as escapes, so that no
 * record can write into the terminal.
 */
export function onOneLine(text: string): string {
  return printableLine(text.trim().replaceAll(/\s*[\r\n]\s*/g, ' '))
}

function ageText(ageMs: number): string {
  if (ageMs < 1_000) return `${Math.max(0, Math.round(ageMs))}ms`
  if (ageMs < 120_000) return `${(ageMs / 1_000).toFixed(1)}s`
  if (ageMs < 7_200_000) return `${Math.round(ageMs / 60_000)}m`
  return `${Math.round(ageMs / 3_600_000)}h`
}
