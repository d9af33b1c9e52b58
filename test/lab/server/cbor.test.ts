import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
  PutRecordCommand,
} from '@aws-sdk/client-kinesis'
import { SmithyRpcV2CborProtocol } from '@smithy/core/cbor'
import { EventStreamCodec } from '@smithy/core/event-streams'
import { fromUtf8, toUtf8 } from '@smithy/core/serde'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { Decoder, Tag, encode } from 'cbor-x'
import * as fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { noDelays, rawCall, region, startLab } from '../lab-fixtures.ts'

const StreamName = 's'
const ShardId = 'shardId-000000000000'
const contentType = 'application/x-amz-cbor-1.1'

// As the lab reads it: 64 bits as a number.
const decoderOptions = { int64AsNumber: true, mapsAsObjects: true }
const decoder = new Decoder(decoderOptions)

interface CborAnswer {
  readonly status: number
  readonly type: string | null
  readonly body: Buffer
  readonly output: Readonly<Record<string, unknown>>
}

async function cborCall(
  lab: { readonly port: number },
  operation: string,
  input: unknown,
): Promise<CborAnswer> {
  const response = await fetch(`http://127.0.0.1:${lab.port}/`, {
    method: 'POST',
    headers: { 'content-type': contentType, 'x-amz-target': `Kinesis_20131202.${operation}` },
    body: Buffer.isBuffer(input) ? input : encode(input),
  })
  const body = Buffer.from(await response.arrayBuffer())
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    body,
    output: body.length === 0 ? {} : (decoder.decode(body) as Record<string, unknown>),
  }
}

async function newLab() {
  const clock = createManualClock()
  const lab = await startLab({ clock, statusMs: noDelays })
  lab.ensureStream(StreamName, 1)
  return { lab, clock }
}

const filter = (ms: number) => ({
  StreamName,
  ShardFilter: { Type: 'AT_TIMESTAMP', Timestamp: new Tag(BigInt(ms), 1) },
})

describe('CBOR as the Java clients write it', () => {
  test('has bytes as bytes and times as tag 1 with milliseconds, both ways', async () => {
    const { lab, clock } = await newLab()
    const Data = Buffer.from([0, 255, 7])
    const put = await cborCall(lab, 'PutRecord', { StreamName, PartitionKey: 'é', Data })
    expect(put).toMatchObject({ status: 200, type: contentType, output: { ShardId } })
    const { output } = await cborCall(lab, 'GetShardIterator', {
      StreamName,
      ShardId,
      ShardIteratorType: 'AT_TIMESTAMP',
      Timestamp: new Tag(BigInt(clock.wallMs()), 1),
    })
    const read = await cborCall(lab, 'GetRecords', { ShardIterator: output['ShardIterator'] })
    expect(read.output['Records']).toMatchObject([{ PartitionKey: 'é', Data }])
    const timeBytes = Buffer.alloc(10)
    timeBytes.writeUInt8(0xc1, 0)
    timeBytes.writeUInt8(0x1b, 1)
    timeBytes.writeBigUInt64BE(BigInt(clock.wallMs()), 2)
    expect(read.body.includes(timeBytes), 'tag 1 and a whole number of milliseconds').toBe(true)
  })

  test('reads a time that stands one level deeper', async () => {
    const { lab, clock } = await newLab()
    const before = await cborCall(lab, 'ListShards', filter(clock.wallMs() - 1))
    const now = await cborCall(lab, 'ListShards', filter(clock.wallMs()))
    expect([before.output['Shards'], now.output['Shards']]).toMatchObject([[], [{ ShardId }]])
  })

  test.each([
    [
      'a missing stream',
      'PutRecord',
      { StreamName: 't', PartitionKey: 'k', Data: Buffer.alloc(1) },
      'ResourceNotFoundException',
    ],
    ['a member that is missing', 'PutRecord', { StreamName }, 'ValidationException'],
    [
      'text for bytes',
      'PutRecord',
      { StreamName, PartitionKey: 'k', Data: '%' },
      'SerializationException',
    ],
    [
      'bytes for text',
      'PutRecord',
      { StreamName, PartitionKey: Buffer.alloc(1), Data: Buffer.alloc(1) },
      'SerializationException',
    ],
    ['no map', 'ListStreams', [], 'SerializationException'],
    ['no CBOR', 'ListStreams', Buffer.from([0xff, 0x00]), 'SerializationException'],
    ['an operation that is missing', 'Nothing', {}, 'UnknownOperationException'],
  ])('answers %s with an error in CBOR', async (_what, operation, input, code) => {
    const { lab } = await newLab()
    expect(await cborCall(lab, operation, input)).toMatchObject({
      status: 400,
      type: contentType,
      output: { __type: code, message: expect.any(String) as string },
    })
  })

  test('answers with an empty body where there is no output', async () => {
    const { lab } = await newLab()
    const { status, body } = await cborCall(lab, 'DeleteStream', { StreamName })
    expect([status, body.length]).toEqual([200, 0])
  })

  test('and JSON read the same records', async () => {
    const { lab } = await newLab()
    await cborCall(lab, 'PutRecord', { StreamName, PartitionKey: 'k', Data: Buffer.from('x') })
    expect(await rawCall(lab, 'ListStreams', {})).toMatchObject({ status: 200 })
    expect(lab.streams.records(StreamName)).toMatchObject([{ data: Buffer.from('x') }])
  })
})

test('a subscription that was asked for in CBOR sends its events in CBOR', async () => {
  const { lab } = await newLab()
  const StreamARN = `arn:aws:kinesis:${region}:000000000000:stream/${StreamName}`
  const { output } = await cborCall(lab, 'RegisterStreamConsumer', { StreamARN, ConsumerName: 'c' })
  const { ConsumerARN } = output['Consumer'] as { ConsumerARN: string }
  const Data = Buffer.from([0, 255])
  await cborCall(lab, 'PutRecord', { StreamName, PartitionKey: 'k', Data })
  const response = await fetch(`http://127.0.0.1:${lab.port}/`, {
    method: 'POST',
    headers: {
      'content-type': contentType,
      'x-amz-target': 'Kinesis_20131202.SubscribeToShard',
    },
    body: encode({ ConsumerARN, ShardId, StartingPosition: { Type: 'TRIM_HORIZON' } }),
  })
  expect(response.headers.get('content-type')).toBe('application/vnd.amazon.eventstream')
  const codec = new EventStreamCodec(toUtf8, fromUtf8)
  const [first, second] = await readMessages(response, 2)
  expect(codec.decode(first ?? Buffer.alloc(0)).headers).toMatchObject({
    ':message-type': { type: 'string', value: 'event' },
    ':event-type': { type: 'string', value: 'initial-response' },
  })
  const { headers, body } = codec.decode(second ?? Buffer.alloc(0))
  expect(headers[':content-type']).toEqual({ type: 'string', value: contentType })
  expect(decoder.decode(Buffer.from(body))).toMatchObject({
    Records: [{ PartitionKey: 'k', Data }],
  })
})

/** The first messages of an event stream, each of which begins with its length. */
async function readMessages(response: Response, count: number): Promise<readonly Buffer[]> {
  const reader = response.body?.getReader()
  const messages: Buffer[] = []
  let bytes = Buffer.alloc(0)
  while (messages.length < count) {
    while (bytes.length >= 4 && bytes.length >= bytes.readUInt32BE(0)) {
      const end = bytes.readUInt32BE(0)
      messages.push(bytes.subarray(0, end))
      bytes = bytes.subarray(end)
    }
    if (messages.length >= count) break
    const step = await reader?.read()
    if (!step || step.done) break
    bytes = Buffer.concat([bytes, step.value])
  }
  await reader?.cancel()
  return messages
}

test('whatever bytes come as CBOR, the answer is an error of the API', async () => {
  const failures: unknown[] = []
  const lab = await startLab({ logger: createMemoryLogger((line) => failures.push(line)) })
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1 }), async (bytes) => {
      const { status } = await cborCall(lab, 'PutRecord', Buffer.from(bytes))
      expect(status).toBe(400)
    }),
    { numRuns: 200 },
  )
  expect(failures).toEqual([])
})

test('Smithy RPC v2 in CBOR is spoken, too', async () => {
  const { lab, clock } = await newLab()
  const client = new KinesisClient({
    endpoint: `http://127.0.0.1:${lab.port}`,
    region,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    maxAttempts: 1,
    protocol: SmithyRpcV2CborProtocol,
    requestHandler: new NodeHttpHandler(),
  })
  onTestFinished(() => client.destroy())
  const Data = Buffer.from('x')
  await client.send(new PutRecordCommand({ StreamName, PartitionKey: 'k', Data }))
  const start = { StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' } as const
  const { ShardIterator } = await client.send(new GetShardIteratorCommand(start))
  const { Records } = await client.send(new GetRecordsCommand({ ShardIterator }))
  expect(Records).toMatchObject([
    { PartitionKey: 'k', ApproximateArrivalTimestamp: new Date(clock.wallMs()) },
  ])
  await expect(client.send(new ListShardsCommand({ StreamName: 'missing' }))).rejects.toMatchObject(
    { name: 'ResourceNotFoundException' },
  )
})
