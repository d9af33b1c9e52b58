import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
  PutRecordCommand,
} from '@aws-sdk/client-kinesis'
import { SmithyRpcV2CborProtocol } from '@smithy/core/cbor'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { Decoder, Tag, encode } from 'cbor-x'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createManualClock } from '../helpers/manual-clock.ts'
import { noDelays, rawCall, region, startLab } from './lab-fixtures.ts'

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
      Timestamp: new Tag(BigInt(clock.nowMs()), 1),
    })
    const read = await cborCall(lab, 'GetRecords', { ShardIterator: output['ShardIterator'] })
    expect(read.output['Records']).toMatchObject([{ PartitionKey: 'é', Data }])
    const timeBytes = Buffer.alloc(10)
    timeBytes.writeUInt8(0xc1, 0)
    timeBytes.writeUInt8(0x1b, 1)
    timeBytes.writeBigUInt64BE(BigInt(clock.nowMs()), 2)
    expect(read.body.includes(timeBytes), 'tag 1 and a whole number of milliseconds').toBe(true)
  })

  test('reads a time that stands one level deeper', async () => {
    const { lab, clock } = await newLab()
    const before = await cborCall(lab, 'ListShards', filter(clock.nowMs() - 1))
    const now = await cborCall(lab, 'ListShards', filter(clock.nowMs()))
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
    { PartitionKey: 'k', ApproximateArrivalTimestamp: new Date(clock.nowMs()) },
  ])
  await expect(client.send(new ListShardsCommand({ StreamName: 'missing' }))).rejects.toMatchObject(
    { name: 'ResourceNotFoundException' },
  )
})
