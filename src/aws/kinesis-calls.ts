import { randomUUID } from 'node:crypto'
import {
  DescribeStreamSummaryCommand,
  KinesisClient,
  PutRecordCommand,
  PutRecordsCommand,
} from '@aws-sdk/client-kinesis'
import type {
  PutRecordOutput,
  PutRecordsCommandInput,
  PutRecordsOutput,
  PutRecordsRequestEntry,
  PutRecordsResultEntry,
} from '@aws-sdk/client-kinesis'
import { AwsJson1_1Protocol } from '@aws-sdk/core/protocols'
import { collectBody } from '@smithy/core/protocols'
import { HttpRequest } from '@smithy/core/transport'
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import { defined } from '../base/defined.ts'
import { attemptAs, identityOfProcess } from './call/credentials.ts'
import { sdkProviderOf } from './call/credentials.ts'
import type { RoleCredentials } from './call/credentials.ts'
import { classify, sessionRefusalOf } from './call/failure-class.ts'
import type { Failure } from './call/failure-class.ts'
import type { CallOutcome, RecordOutcome } from './call/call-outcome.ts'
import type { StaticCredentials } from './call/sts.ts'
import { listOpenShards } from './list-shards.ts'
import type { ShardRange } from './list-shards.ts'

export type { ShardRange } from './list-shards.ts'

/** The operations that write. A role written for AWS IoT may allow only PutRecord. */
export type PutOperation = 'PutRecord' | 'PutRecords'

/** A record as Kinesis takes it. */
export interface OutgoingRecord {
  readonly partitionKey: string
  readonly explicitHashKey?: string | undefined
  readonly data: Buffer
}

/** A stream, by its name in the account of the caller or by its ARN in any account. */
export interface StreamReference {
  readonly streamName: string
  readonly streamArn?: string | undefined
}

type ShardListing =
  | { readonly listed: true; readonly shards: readonly ShardRange[] }
  | { readonly listed: false; readonly failure: Failure }

export interface PutRequest extends StreamReference {
  readonly operation: PutOperation
  /** One record for PutRecord, 1 to 500 for PutRecords. */
  readonly records: readonly OutgoingRecord[]
  readonly signal: AbortSignal
}

/** The calls to Kinesis in one region with one role. None of them rejects. */
export interface KinesisCalls {
  /** Writes records in one call. Each record has an outcome, unless the whole call failed. */
  put(request: PutRequest): Promise<CallOutcome>
  /** The largest record that the stream takes. */
  recordBytesMax(stream: StreamReference, signal: AbortSignal): Promise<RecordBytesMax>
  /** The open shards of a stream. A stream with more than `shardsListedMax` counts as a failure. */
  listShards(stream: StreamReference, signal: AbortSignal): Promise<ShardListing>
}

/**
 * `denied`: the role may not ask, or the service does not say. `unknown`: it does not say now, or
 * the role has no valid credentials now.
 */
type RecordBytesMax =
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'denied' }
  | { readonly kind: 'unknown'; readonly failure: Failure }

interface KinesisCallsOptions {
  readonly region: string
  /** The credentials of the role that writes. Without them the process writes as itself. */
  readonly credentials?: RoleCredentials | undefined
  /** The credentials of the process. Without them the SDK's credential chain is used. */
  readonly baseCredentials?: StaticCredentials | undefined
  readonly requestHandler: NodeHttpHandler
  /** Without it the SDK's rules apply, `AWS_ENDPOINT_URL_KINESIS` among them. */
  readonly endpoint?: string | undefined
}

/**
 * Makes the client that writes to Kinesis in one region with one role. The policy in
 * delivery/call/retry.ts decides about retries of records and of calls, so the client itself
 * retries nothing, and every error that it throws becomes an outcome.
 */
export function createKinesisCalls(options: KinesisCallsOptions): KinesisCalls {
  const { region, credentials, baseCredentials, requestHandler, endpoint } = options
  const provider = credentials === undefined ? baseCredentials : sdkProviderOf(credentials)
  const client = new KinesisClient({
    region,
    requestHandler,
    maxAttempts: 1,
    protocol: PutRecordsProtocol,
    ...defined({ endpoint, credentials: provider }),
  })
  // The SDK's logging step copies all records of a call, and Sluice does not use its log.
  client.middlewareStack.remove('loggerMiddleware')
  const identity = credentials ?? identityOfProcess(client)

  const shortWays = createShortWays(client)

  async function send(request: PutRequest): Promise<readonly RecordOutcome[]> {
    const { operation, records, signal } = request
    const stream = named(request)
    const entries = records.map(({ partitionKey, explicitHashKey, data }) =>
      explicitHashKey === undefined
        ? { PartitionKey: partitionKey, Data: data }
        : { PartitionKey: partitionKey, ExplicitHashKey: explicitHashKey, Data: data },
    )
    const [entry] = entries
    if (operation === 'PutRecord' && entry !== undefined) {
      return [outcomeOf(await shortWays.putRecord(stream, entry, signal))]
    }
    const { Records: results = [] } = await shortWays.putRecords(stream, entries, signal)
    return results.map(outcomeOf)
  }

  return {
    async put(request: PutRequest): Promise<CallOutcome> {
      const attempt = await attemptAs(identity, 'Kinesis', request.signal, () => send(request))
      return attempt.ok
        ? { answered: true, records: attempt.answer }
        : { answered: false, failure: attempt.failure }
    },
    async recordBytesMax(stream: StreamReference, signal: AbortSignal): Promise<RecordBytesMax> {
      const command = new DescribeStreamSummaryCommand(named(stream))
      const attempt = await attemptAs(identity, 'Kinesis', signal, () =>
        client.send(command, { abortSignal: signal }),
      )
      if (!attempt.ok) return withoutLimit(attempt.failure)
      const { MaxRecordSizeInKiB: kibibytes } = attempt.answer.StreamDescriptionSummary ?? {}
      if (kibibytes === undefined) return { kind: 'denied' }
      return { kind: 'bytes', bytes: kibibytes * 1_024 }
    },
    async listShards(stream: StreamReference, signal: AbortSignal): Promise<ShardListing> {
      const attempt = await attemptAs(identity, 'Kinesis', signal, () =>
        listOpenShards(client, named(stream), signal),
      )
      return attempt.ok
        ? { listed: true, shards: attempt.answer }
        : { listed: false, failure: attempt.failure }
    },
  }
}

/** What a failed DescribeStreamSummary says of the largest record. */
function withoutLimit(failure: Failure): RecordBytesMax {
  const { code, source } = failure
  // Refused credentials say nothing of what the stream takes, nor of what the role may ask.
  const isRefused = source === 'AssumeRole' || sessionRefusalOf(code) !== undefined
  if (isRefused || classify(failure) === 'passing') return { kind: 'unknown', failure }
  // A role written for AWS IoT may write and do nothing else.
  return { kind: 'denied' }
}

function named({ streamName, streamArn }: StreamReference) {
  return streamArn === undefined ? { StreamName: streamName } : { StreamARN: streamArn }
}

/** The outcome of one record. PutRecord answers like an entry of PutRecords without an error. */
function outcomeOf(result: PutRecordsResultEntry): RecordOutcome {
  const { ShardId: shardId, SequenceNumber: sequenceNumber, ErrorCode, ErrorMessage } = result
  // Some services write an absent member as null.
  if (!ErrorCode && shardId && sequenceNumber) {
    return { ok: true, shardId, sequenceNumber }
  }
  const code = ErrorCode ?? 'InternalFailure'
  const message = ErrorMessage ?? 'The answer holds neither a sequence number nor an error'
  return { ok: false, failure: { code, message, source: 'Kinesis' } }
}

/** The last steps of the SDK's way to a stream: sign, send, read the answer. */
interface ShortWay {
  /** Before it is signed, without a body. */
  readonly request: HttpRequest
  readonly finish: (request: HttpRequest) => Promise<{ readonly output: unknown }>
}

type StreamName = ReturnType<typeof named>

/**
 * Puts records through the SDK's client, which takes half a millisecond for the steps up to the
 * signature, whatever is in a call. They come to the same each time: so the first call to a stream
 * goes all the way, and the next ones take its request with another body and go on from there.
 * After a call that failed the next one goes all the way again.
 *
 * A signal belongs to the calls of one destination. What is kept for it ends with it.
 */
function createShortWays(client: KinesisClient) {
  const waysOf: WaysOf = new WeakMap()

  /** @param command its input is emptied: the SDK keeps the command with what follows it */
  async function goAllTheWay<Output extends object>(
    command: PutRecordCommand | PutRecordsCommand,
    signal: AbortSignal,
    key: string,
  ): Promise<Output> {
    let way: ShortWay | undefined
    const { middlewareStack } = command as unknown as LearningCommand
    middlewareStack.addRelativeTo(
      (next) => (args) => {
        way = {
          request: withBody(args.request, undefined),
          finish: (request) => next({ input: {}, request }),
        }
        return next(args)
      },
      { name: 'shortWay', relation: 'before', toMiddleware: 'httpSigningMiddleware' },
    )
    try {
      const output = await client.send(command as PutRecordsCommand, { abortSignal: signal })
      if (way !== undefined) keepWay(waysOf, signal, key, way)
      return output as object as Output
    } finally {
      Object.assign(command, { input: {} })
    }
  }

  async function go<Output extends object>(
    signal: AbortSignal,
    key: string,
    call: {
      readonly body: () => Buffer
      readonly command: () => PutRecordCommand | PutRecordsCommand
    },
  ): Promise<Output> {
    const ways = waysOf.get(signal)
    const way = ways?.get(key)
    if (way === undefined) return goAllTheWay(call.command(), signal, key)
    const body = call.body()
    const request = withBody(way.request, body)
    request.headers['content-length'] = String(body.length)
    request.headers['amz-sdk-invocation-id'] = randomUUID()
    try {
      const { output } = await way.finish(request)
      return output as Output
    } catch (thrown) {
      ways?.delete(key)
      throw thrown
    }
  }

  return {
    putRecord: (stream: StreamName, entry: PutRecordsRequestEntry, signal: AbortSignal) =>
      go<PutRecordOutput>(signal, `PutRecord ${JSON.stringify(stream)}`, {
        command: () => new PutRecordCommand({ ...stream, ...entry }),
        body: () => bodyOfOne(stream, entry),
      }),
    putRecords: (
      stream: StreamName,
      entries: readonly PutRecordsRequestEntry[],
      signal: AbortSignal,
    ) =>
      go<PutRecordsOutput>(signal, `PutRecords ${JSON.stringify(stream)}`, {
        command: () => new PutRecordsCommand({ ...stream, Records: [...entries] }),
        body: () => bodyOf(stream, entries),
      }),
  }
}

type WaysOf = WeakMap<AbortSignal, Map<string, ShortWay>>

function keepWay(waysOf: WaysOf, signal: AbortSignal, key: string, way: ShortWay): void {
  const ways = waysOf.get(signal) ?? new Map<string, ShortWay>()
  if (ways.size >= waysMax) ways.clear()
  waysOf.set(signal, ways.set(key, way))
}

function withBody(request: HttpRequest, body: Buffer | undefined): HttpRequest {
  const copy = HttpRequest.clone(request)
  copy.body = body
  return copy
}

/** Streams of one signal; templates of a rule can name any number. */
const waysMax = 1_000

/** The part of the SDK's commands through which steps are added; their types differ by command. */
interface LearningCommand {
  readonly middlewareStack: {
    addRelativeTo(
      step: (
        next: (args: SigningStep) => Promise<{ readonly output: unknown }>,
      ) => (args: SigningStep) => Promise<{ readonly output: unknown }>,
      place: { readonly name: string; readonly relation: 'before'; readonly toMiddleware: string },
    ): void
  }
}

interface SigningStep {
  readonly input: object
  readonly request: HttpRequest
}

type Protocol = Pick<AwsJson1_1Protocol, 'serializeRequest' | 'deserializeResponse'>

/**
 * The protocol of the Kinesis client (AWS JSON 1.1) with a shorter path for PutRecords: entries and
 * results are written and read by their known members. The client's own serializer looks each
 * member up in a schema, which takes as long per record as the rest of delivery. Other operations
 * and all errors go through the client's own code.
 */
class PutRecordsProtocol extends AwsJson1_1Protocol {
  override async serializeRequest(
    operation: Parameters<Protocol['serializeRequest']>[0],
    input: object,
    context: Parameters<Protocol['serializeRequest']>[2],
  ): ReturnType<Protocol['serializeRequest']> {
    if (operation.name !== 'PutRecords') return super.serializeRequest(operation, input, context)
    const { Records: entries = [], ...stream } = input as PutRecordsCommandInput
    const request = await super.serializeRequest(operation, stream, context)
    request.body = bodyOf(stream, entries)
    return request
  }

  override async deserializeResponse<Output extends { $metadata: object }>(
    operation: Parameters<Protocol['deserializeResponse']>[0],
    context: Parameters<Protocol['deserializeResponse']>[1],
    response: Parameters<Protocol['deserializeResponse']>[2],
  ): Promise<Output> {
    if (operation.name !== 'PutRecords' || this.isErrorResponse(response.statusCode)) {
      return super.deserializeResponse(operation, context, response)
    }
    const bytes: Uint8Array = await collectBody(response.body, context)
    const answer: object = JSON.parse(Buffer.from(bytes).toString('utf8'))
    return { ...answer, $metadata: this.deserializeMetadata(response) } as Output
  }
}

/** Entries are written in texts of about so many characters: a call for each would cost more. */
const textLength = 8 * 1024

/**
 * The body of PutRecords. The entries are written in several texts into a buffer: one text of all
 * entries would be as large as the body, and V8 frees texts of that size only when it collects its
 * old generation.
 *
 * @param stream the other members of the request: at least one, all of them strings
 */
function bodyOf(stream: object, entries: readonly PutRecordsRequestEntry[]): Buffer {
  const texts: string[] = []
  let text = `${JSON.stringify(stream).slice(0, -1)},"Records":[`
  let bytes = 0
  for (const [index, entry] of entries.entries()) {
    text += textOf(entry, index > 0 ? ',' : '')
    if (text.length < textLength) continue
    bytes += Buffer.byteLength(text)
    texts.push(text)
    text = ''
  }
  text += ']}'
  const body = Buffer.allocUnsafe(bytes + Buffer.byteLength(text))
  let end = 0
  for (const each of texts) end += body.write(each, end)
  body.write(text, end)
  return body
}

/** The body of PutRecord, with its members in the order in which the SDK writes them. */
function bodyOfOne(stream: StreamName, entry: PutRecordsRequestEntry): Buffer {
  const { StreamName, StreamARN }: Partial<Record<'StreamName' | 'StreamARN', string>> = stream
  const { PartitionKey, ExplicitHashKey } = entry
  const Data = dataOf(entry).toString('base64')
  return Buffer.from(JSON.stringify({ Data, StreamName, PartitionKey, ExplicitHashKey, StreamARN }))
}

const dataOf = ({ Data }: PutRecordsRequestEntry): Buffer =>
  Buffer.isBuffer(Data) ? Data : Buffer.from(Data ?? [])

function textOf(entry: PutRecordsRequestEntry, separator: string): string {
  const { PartitionKey, ExplicitHashKey } = entry
  const hashKey = ExplicitHashKey === undefined ? '' : `,"ExplicitHashKey":"${ExplicitHashKey}"`
  const key = JSON.stringify(PartitionKey)
  return `${separator}{"Data":"${dataOf(entry).toString('base64')}"${hashKey},"PartitionKey":${key}}`
}
