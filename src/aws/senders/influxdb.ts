import type { CallOutcome, RecordOutcome } from '../call/call-outcome.ts'
import { attemptAs, identityOfProcess } from '../call/credentials.ts'
import { classify } from '../call/failure-class.ts'
import type { Failure } from '../call/failure-class.ts'
import { decodeServiceCall } from '../call/service-call.ts'
import type { CallRecord, ServiceSender } from '../call/service-sender.ts'
import { jsonOf } from '../call/signed-http.ts'
import type { HttpAnswer } from '../call/signed-http.ts'
import { createProcessClient } from '../call/sts.ts'
import type { InfluxdbConfiguration } from '../http/http-access.ts'
import { chunksOf } from './chunks.ts'
import { createInfluxdbServer, textOfAnswer } from './influxdb-server.ts'
import { taken } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/** The parameters that the influxDB action makes. */
interface InfluxdbParameters {
  readonly databaseName: string
  readonly organization?: string
  readonly precision: Precision
  readonly lines: readonly string[]
  /** There when the action batches. */
  readonly batchConfig?: { readonly maxBatchSize?: number; readonly maxBatchSizeBytes?: number }
}

type Precision = 's' | 'ms' | 'us' | 'ns'

/** A record with the points that it is to write. */
interface Waiting extends InfluxdbParameters {
  readonly index: number
  readonly body: string
}

/** What became of one record. */
interface Sent {
  readonly index: number
  readonly outcome: RecordOutcome
}

/** Writes of one call that are in flight together. */
const writesAtOnceMax = 8

/**
 * Writes the points of records to one database of an InfluxDB.
 *
 * Only a 204 says that points are written. A write that InfluxDB refuses for its lines may have
 * been carried out in part, and says at most which line is wrong: so the records of that line are
 * left out, or the write is halved, until each record was taken or is the only one of its write.
 * Points that are written twice are the same points.
 */
export function createInfluxdbSend(options: SenderOptions): ServiceSender<CallRecord>['send'] {
  const { http, target = '' } = options
  if (http === undefined) throw new Error('the influxDB action has no access to destinations')
  const identity = options.credentials ?? identityOfProcess(createProcessClient(options))
  let write: Write | undefined

  return async (records, signal) => {
    const batches = batchesOf(records)
    const [[first] = []] = batches
    const destinationArn = target.slice(0, -`/${first?.databaseName}`.length)
    const found = http.influxdbOf(destinationArn)
    if ('disabledReason' in found) {
      const message = found.disabledReason
      const failure = { code: 'DestinationNotEnabled', message, source: 'InfluxDB' } as const
      return { answered: false, failure }
    }
    const writing = (write ??= createWrite({ ...options, clock: http.clock }, found))
    const attempt = await attemptAs(identity, 'InfluxDB', signal, async () => {
      const sent: Sent[] = []
      for (const some of chunksOf(batches, { countMax: writesAtOnceMax })) {
        sent.push(...(await Promise.all(some.map((batch) => send(writing, batch, signal)))).flat())
      }
      return sent
    })
    if (!attempt.ok) return { answered: false, failure: attempt.failure }
    return outcomeOf(attempt.answer.toSorted((left, right) => left.index - right.index))
  }
}

type Batch = readonly Waiting[]

/** Why a write was refused. */
interface Refusal {
  readonly failure: Failure
  /** The line that InfluxDB names, counted from 0. */
  readonly line?: number | undefined
}

/** Makes one write. @returns undefined when all of it was taken */
type Write = (batch: Batch, signal: AbortSignal) => Promise<Refusal | undefined>

function createWrite(
  options: Parameters<typeof createInfluxdbServer>[0],
  configuration: InfluxdbConfiguration,
): Write {
  const server = createInfluxdbServer(options, configuration)
  const { origin } = new URL(options.endpoint ?? configuration.endpoint)
  const { influxDBVersion: version } = configuration
  return async (batch, signal) => {
    const [first] = batch
    if (first === undefined) return undefined
    if (version === 'V2' && first.organization === undefined) return { failure: noOrganization }
    const path = version === 'V2' ? pathOfV2(first) : pathOfV3(first)
    const body = Buffer.from(batch.map(({ body: lines }) => lines).join('\n'))
    const answer = await server.send({ method: 'POST', path, body }, signal)
    if (answer.status === 204) return undefined
    const failure = {
      code: `HTTP_${answer.status}`,
      message: textOfAnswer(answer, origin),
      source: 'InfluxDB',
      status: answer.status,
      retryAfterMs: retryAfterOf(answer),
    } as const
    return { failure, line: lineOf(answer) }
  }
}

const noOrganization: Failure = {
  code: 'OrganizationMissing',
  message: 'the action has no organization, which InfluxDB 2 needs for a write',
  source: 'InfluxDB',
}

/** InfluxDB 2 documentation, "POST /api/v2/write". */
function pathOfV2({ organization = '', databaseName, precision }: InfluxdbParameters): string {
  const query = new URLSearchParams({ org: organization, bucket: databaseName, precision })
  return `/api/v2/write?${query.toString()}`
}

const precisionsOfV3 = {
  s: 'second',
  ms: 'millisecond',
  us: 'microsecond',
  ns: 'nanosecond',
} as const

/**
 * InfluxDB 3 documentation, "POST /api/v3/write_lp". A write that has a wrong line writes nothing,
 * so that no record is written in part.
 */
function pathOfV3({ databaseName, precision }: InfluxdbParameters): string {
  const query = new URLSearchParams({
    db: databaseName,
    precision: precisionsOfV3[precision],
    accept_partial: 'false',
  })
  return `/api/v3/write_lp?${query.toString()}`
}

/** The first wrong line that InfluxDB 3 names: `{"error": "...", "data": {"line_number": 2}}`. */
function lineOf(answer: HttpAnswer): number | undefined {
  const { data } = jsonOf(answer) ?? {}
  const entry: unknown = Array.isArray(data) ? data[0] : data
  if (typeof entry !== 'object' || entry === null || !('line_number' in entry)) return undefined
  const { line_number: line } = entry
  return typeof line === 'number' && Number.isInteger(line) && line > 0 ? line - 1 : undefined
}

/** [RFC 9110, section 10.2.3] in seconds: InfluxDB gives no date. */
function retryAfterOf({ headers }: HttpAnswer): number | undefined {
  const text = headers['retry-after']
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : undefined
}

/** Each write leaves out a record or halves its batch, so that there are at most two for each. */
async function send(write: Write, batch: Batch, signal: AbortSignal): Promise<readonly Sent[]> {
  const refusal = await write(batch, signal)
  const all = (some: Batch, outcome: RecordOutcome) => some.map(({ index }) => ({ index, outcome }))
  if (refusal === undefined) return all(batch, taken)
  const { failure, line } = refusal
  const isOfOne = classify(failure) === 'record' && failure !== noOrganization
  if (!isOfOne || batch.length === 1) return all(batch, { ok: false, failure })
  const wrong = line === undefined ? undefined : recordOfLine(batch, line)
  if (wrong !== undefined) {
    const rest = batch.filter((waiting) => waiting !== wrong)
    return [...all([wrong], { ok: false, failure }), ...(await send(write, rest, signal))]
  }
  const middle = Math.ceil(batch.length / 2)
  const firstHalf = await send(write, batch.slice(0, middle), signal)
  return [...firstHalf, ...(await send(write, batch.slice(middle), signal))]
}

function recordOfLine(batch: Batch, line: number): Waiting | undefined {
  let before = 0
  return batch.find(({ lines }) => {
    before += lines.length
    return line < before
  })
}

/** When InfluxDB refused every record for a reason that is not theirs, all of them wait. */
function outcomeOf(sent: readonly Sent[]): CallOutcome {
  const failures = sent.flatMap(({ outcome }) => (outcome.ok ? [] : [outcome.failure]))
  const failure = failures.find((one) => classify(one) === 'destination') ?? failures[0]
  const isWhole =
    failures.length === sent.length && failures.every((one) => classify(one) !== 'record')
  if (failure !== undefined && isWhole) return { answered: false, failure }
  return { answered: true, records: sent.map(({ outcome }) => outcome) }
}

/** Records of one write have the same precision, and the same batch key where there is one. */
function batchesOf(records: readonly CallRecord[]): readonly Batch[] {
  const groups = new Map<string, Waiting[]>()
  for (const [index, { call = '{}' }] of records.entries()) {
    const { parameters, batchKey } = decodeServiceCall(call)
    // The action makes these parameters only.
    const own = parameters as unknown as InfluxdbParameters
    const key = JSON.stringify([own.databaseName, own.organization, own.precision, batchKey])
    const waiting = { ...own, index, body: own.lines.join('\n') }
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [waiting])
    else group.push(waiting)
  }
  return [...groups.values()].flatMap(cut)
}

/** Cuts records of one key by the limits of their action, which count points. */
function cut(group: Batch): readonly Batch[] {
  const { maxBatchSize = Infinity, maxBatchSizeBytes } = group.at(-1)?.batchConfig ?? {}
  return chunksOf(group, {
    countMax: maxBatchSize,
    countOf: ({ lines }) => lines.length,
    bytesMax: maxBatchSizeBytes,
    bytesOf: ({ body }) => Buffer.byteLength(body) + 1,
  })
}
