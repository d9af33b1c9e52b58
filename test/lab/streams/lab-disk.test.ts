import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { hashKeySpace } from '../../../src/base/hash-key.ts'
import { createLabServer } from '../../../src/lab/server/lab-server.ts'
import type { LabServer, LabServerOptions } from '../../../src/lab/server/lab-server.ts'
import { decodeChunk, encodeChunk } from '../../../src/lab/streams/record-chunk.ts'
import { createShardLog } from '../../../src/lab/streams/shard-log.ts'
import { createMemoryLogger } from '../../../src/telemetry/logger.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { accountId, base64, noDelays, rawCall, region, startLab } from '../lab-fixtures.ts'

const StreamName = 's'
const StreamARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
const ShardId = 'shardId-000000000000'

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-lab-disk-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const openLab = (dataDir: string, options: Partial<LabServerOptions> = {}) =>
  startLab({ dataDir, statusMs: noDelays, ...options })

async function put(lab: LabServer, ...texts: string[]): Promise<void> {
  const Records = texts.map((text) => ({ PartitionKey: text.slice(0, 9), Data: base64(text) }))
  const { status } = await rawCall(lab, 'PutRecords', { StreamName, Records })
  expect(status).toBe(200)
}

const textsIn = (lab: LabServer) =>
  lab.streams.records(StreamName).map((record) => record.data.toString())

describe('after a restart', () => {
  test('streams are as they were, with their records, shards, consumers and tags', async () => {
    const folder = await newFolder()
    const first = await openLab(folder)
    first.ensureStream(StreamName, 1)
    await put(first, 'a', 'b')
    const calls: [operation: string, input: object][] = [
      ['RegisterStreamConsumer', { StreamARN, ConsumerName: 'c', Tags: { of: 'c' } }],
      ['AddTagsToStream', { StreamName, Tags: { of: 's' } }],
      ['StartStreamEncryption', { StreamName, EncryptionType: 'KMS', KeyId: 'key' }],
      ['IncreaseStreamRetentionPeriod', { StreamName, RetentionPeriodHours: 48 }],
      ['UpdateMaxRecordSize', { StreamARN, MaxRecordSizeInKiB: 2048 }],
      [
        'SplitShard',
        { StreamName, ShardToSplit: ShardId, NewStartingHashKey: String(hashKeySpace / 2n) },
      ],
      ['CreateStream', { StreamName: 'gone', ShardCount: 1 }],
      ['DeleteStream', { StreamName: 'gone' }],
    ]
    for (const [operation, input] of calls) {
      expect(await rawCall(first, operation, input)).toMatchObject({ status: 200 })
    }
    await put(first, 'c', 'd', 'e')
    const reads: [operation: string, input: object][] = [
      ['ListStreams', {}],
      ['DescribeStream', { StreamName }],
      ['DescribeStreamSummary', { StreamName }],
      ['ListStreamConsumers', { StreamARN }],
      ['ListTagsForStream', { StreamName }],
    ]
    const lookAt = async (lab: LabServer) => [
      lab.streams.records(StreamName),
      ...(await Promise.all(reads.map(([operation, input]) => rawCall(lab, operation, input)))),
    ]
    const before = await lookAt(first)
    await first.close()
    const second = await openLab(folder)
    expect(await lookAt(second)).toEqual(before)
  })

  test('an iterator goes on, and the next record has the next place', async () => {
    const folder = await newFolder()
    const first = await openLab(folder)
    first.ensureStream(StreamName, 1)
    await put(first, 'a')
    const start = { StreamName, ShardId, ShardIteratorType: 'LATEST' }
    const { output } = await rawCall(first, 'GetShardIterator', start)
    await first.close()
    const second = await openLab(folder)
    await put(second, 'b')
    const read = await rawCall(second, 'GetRecords', { ShardIterator: output['ShardIterator'] })
    expect(read.output).toMatchObject({ Records: [{ Data: base64('b') }] })
    const numbers = second.streams.records(StreamName).map((record) => record.sequenceNumber)
    expect(numbers).toEqual(numbers.toSorted())
  })

  test('a shard whose records are all past retention gives no place twice', async () => {
    const folder = await newFolder()
    const clock = createManualClock()
    const first = await openLab(folder, { clock })
    first.ensureStream(StreamName, 1)
    await put(first, 'a', 'b')
    const [, last] = first.streams.records(StreamName)
    clock.advance(25 * 3_600_000)
    expect(textsIn(first)).toEqual([])
    await first.close()
    const second = await openLab(folder, { clock })
    await put(second, 'c')
    const [next] = second.streams.records(StreamName)
    // Place 3, behind the two that are gone.
    expect(next?.sequenceNumber.slice(15, 31)).toBe('3'.padStart(16, '0'))
    expect(last?.sequenceNumber.slice(15, 31)).toBe('2'.padStart(16, '0'))
  })
})

describe('after a restart with another account or region', () => {
  const other = { accountId: '111111111111', region: 'eu-west-1' }
  const movedArn = 'arn:aws:kinesis:eu-west-1:111111111111:stream/s'

  test('streams and consumers of the lab have the new ones, and iterators go on', async () => {
    const folder = await newFolder()
    const first = await openLab(folder)
    first.ensureStream(StreamName, 1)
    await put(first, 'a')
    await register(first)
    const start = { StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' }
    const { output } = await rawCall(first, 'GetShardIterator', start)
    await first.close()

    const second = await openLab(folder, other)
    expect(await summaryOf(second)).toMatchObject({ StreamARN: movedArn })
    const byArn = await rawCall(second, 'DescribeStreamSummary', { StreamARN: movedArn })
    expect(byArn.status).toBe(200)
    const listed = await rawCall(second, 'ListStreamConsumers', { StreamARN: movedArn })
    const [consumer] = listed.output['Consumers'] as { ConsumerARN: string }[]
    const { ConsumerARN } = consumer ?? {}
    expect(ConsumerARN).toContain(`${movedArn}/consumer/c:`)
    expect(await rawCall(second, 'DescribeStreamConsumer', { ConsumerARN })).toMatchObject({
      status: 200,
    })
    const read = await rawCall(second, 'GetRecords', { ShardIterator: output['ShardIterator'] })
    expect(read.output).toMatchObject({ Records: [{ Data: base64('a') }] })
    await put(second, 'b')
    expect(await afterCrash(folder, textsIn, other)).toEqual(['a', 'b'])
  })

  test('streams of other accounts stay, and one whose name is taken stays with a warning', async () => {
    const folder = await newFolder()
    const first = await openLab(folder)
    const strangerArn = 'arn:aws:kinesis:us-east-1:222222222222:stream/stranger'
    for (const arn of [StreamARN, movedArn, strangerArn]) first.ensureStream(arn, 1)
    await first.close()
    const lines: object[] = []
    const second = await openLab(folder, {
      ...other,
      logger: createMemoryLogger((line) => lines.push(line)),
    })
    expect(second.streams.names()).toEqual([StreamName])
    for (const arn of [StreamARN, movedArn, strangerArn]) {
      const { status } = await rawCall(second, 'DescribeStreamSummary', { StreamARN: arn })
      expect(status).toBe(200)
    }
    expect(lines).toMatchObject([{ level: 'warn', streamArn: StreamARN }])
  })
})

describe('after a restart with another time of day', () => {
  const hourMs = 3_600_000
  // Hours after the second start at which the record is looked for.
  const steps: [name: string, byHours: number, kept: number[], gone: number[]][] = [
    ['as it should be', 0, [0, 21], [23]],
    ['set forward: readable for a grace period', 30, [0, 0.01], [0.02]],
    ['set back: kept for its retention, and no longer', -30, [0, 23], [25]],
  ]
  test.each(steps)('%s', async (_, byHours, kept, gone) => {
    const folder = await newFolder()
    const clock = createManualClock()
    const first = await openLab(folder, { clock })
    first.ensureStream(StreamName, 1)
    await put(first, 'a')
    clock.advance(2 * hourMs)
    await first.close()
    clock.setWall(clock.wallMs() + byHours * hourMs)
    const second = await openLab(folder, { clock })
    const startMs = clock.monotonicMs()
    const textsAt = (hours: number) => {
      clock.advance(startMs + hours * hourMs - clock.monotonicMs())
      return textsIn(second)
    }
    expect(kept.map(textsAt)).toEqual(kept.map(() => ['a']))
    expect(gone.map(textsAt)).toEqual(gone.map(() => []))
  })

  test.each([
    ['set forward', hourMs, 'ExpiredIteratorException'],
    ['set back', -hourMs, undefined],
  ])('an iterator is as old as it says: %s', async (_, byMs, error) => {
    const folder = await newFolder()
    const clock = createManualClock()
    const first = await openLab(folder, { clock })
    first.ensureStream(StreamName, 1)
    const start = { StreamName, ShardId, ShardIteratorType: 'LATEST' }
    const { output } = await rawCall(first, 'GetShardIterator', start)
    await first.close()
    clock.setWall(clock.wallMs() + byMs)
    const second = await openLab(folder, { clock })
    const read = () => rawCall(second, 'GetRecords', { ShardIterator: output['ShardIterator'] })
    expect((await read()).type).toBe(error)
    clock.advance(300_001)
    expect((await read()).type).toBe('ExpiredIteratorException')
  })
})

describe('after a crash', () => {
  test('everything is there that was answered', async () => {
    const folder = await newFolder()
    const lab = await openLab(folder)
    lab.ensureStream(StreamName, 3)
    const texts = Array.from({ length: 400 }, (_, index) => String(index))
    for (const batch of [texts.slice(0, 200), texts.slice(200)]) {
      await put(lab, ...batch)
      expect(await afterCrash(folder, textsIn)).toEqual(textsIn(lab))
    }
  })

  test('calls at the same time are all there', async () => {
    const folder = await newFolder()
    const lab = await openLab(folder)
    lab.ensureStream(StreamName, 3)
    const texts = Array.from({ length: 100 }, (_, index) => String(index))
    await Promise.all(texts.map((text) => put(lab, text)))
    const left = await afterCrash(folder, textsIn)
    expect(left.toSorted()).toEqual(texts.toSorted())
  })

  test.each([
    ['CreateStream', { StreamName: 'new', ShardCount: 1 }, 'ListStreams', {}],
    ['AddTagsToStream', { StreamName, Tags: { of: 's' } }, 'ListTagsForStream', { StreamName }],
    ['DeleteStream', { StreamName }, 'ListStreams', {}],
  ])('%s is carried out', async (operation, input, look, lookInput) => {
    const folder = await newFolder()
    const lab = await openLab(folder)
    lab.ensureStream(StreamName, 1)
    await put(lab, 'a')
    const before = (await rawCall(lab, look, lookInput)).output
    expect(await rawCall(lab, operation, input)).toMatchObject({ status: 200 })
    const expected = (await rawCall(lab, look, lookInput)).output
    expect(expected).not.toEqual(before)
    const found = await afterCrash(folder, (reopened) => rawCall(reopened, look, lookInput))
    expect(found.output).toEqual(expected)
  })
})

describe('a change that was answered while the stream is UPDATING', () => {
  const KeyId = 'key'
  const EncryptionType = 'KMS'
  const changes: [operation: string, input: object, found: object][] = [
    ['UpdateShardCount', { TargetShardCount: 4, ScalingType: 'UNIFORM_SCALING' }, { open: 4 }],
    ['SplitShard', { ShardToSplit: ShardId, NewStartingHashKey: '9' }, { open: 3 }],
    [
      'MergeShards',
      { ShardToMerge: ShardId, AdjacentShardToMerge: 'shardId-000000000001' },
      { open: 1 },
    ],
    ['IncreaseStreamRetentionPeriod', { RetentionPeriodHours: 48 }, { RetentionPeriodHours: 48 }],
    ['UpdateMaxRecordSize', { MaxRecordSizeInKiB: 2048 }, { MaxRecordSizeInKiB: 2048 }],
    ['StartStreamEncryption', { EncryptionType, KeyId }, { EncryptionType, KeyId }],
    [
      'UpdateStreamMode',
      { StreamModeDetails: { StreamMode: 'ON_DEMAND' } },
      { StreamModeDetails: { StreamMode: 'ON_DEMAND' } },
    ],
    [
      'EnableEnhancedMonitoring',
      { ShardLevelMetrics: ['OutgoingBytes'] },
      { EnhancedMonitoring: [{ ShardLevelMetrics: ['OutgoingBytes'] }] },
    ],
  ]
  test.each(changes)(
    '%s is done after a crash, and after a stop',
    async (operation, input, found) => {
      const folder = await newFolder()
      // Its time does not pass, so that the stream stays UPDATING.
      const clock = createManualClock()
      const lab = await startLab({ dataDir: folder, clock })
      lab.ensureStream(StreamName, 2)
      await put(lab, 'a', 'b', 'c')
      const naming = /^Update(?:Max|StreamMode)/.test(operation) ? { StreamARN } : { StreamName }
      expect(await rawCall(lab, operation, { ...naming, ...input })).toMatchObject({ status: 200 })
      await put(lab, 'd', 'e', 'f')
      expect(await summaryOf(lab)).toMatchObject({ StreamStatus: 'UPDATING', open: 2 })
      const expected = { StreamStatus: 'ACTIVE', ...found }
      expect(await afterCrash(folder, summaryOf, { clock })).toMatchObject(expected)
      expect((await afterCrash(folder, textsIn)).toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
      await lab.close()
      expect(await afterCrash(folder, summaryOf, { clock })).toMatchObject(expected)
    },
  )

  test('a consumer that is being deregistered is gone, and its ARN is not given again', async () => {
    const folder = await newFolder()
    const clock = createManualClock()
    const lab = await startLab({ dataDir: folder, clock })
    lab.ensureStream(StreamName, 1)
    const { output } = await register(lab)
    const { ConsumerARN } = output['Consumer'] as Record<string, string>
    await rawCall(lab, 'DeregisterStreamConsumer', { ConsumerARN })
    const again = await afterCrash(folder, register, { clock })
    expect(again).toMatchObject({ status: 200 })
    expect(again.output).not.toMatchObject({ Consumer: { ConsumerARN } })
  })
})

async function summaryOf(lab: LabServer): Promise<object> {
  const { output } = await rawCall(lab, 'DescribeStreamSummary', { StreamName })
  const summary = output['StreamDescriptionSummary'] as Record<string, unknown>
  return { ...summary, open: summary['OpenShardCount'] }
}

const register = (lab: LabServer) =>
  rawCall(lab, 'RegisterStreamConsumer', { StreamARN, ConsumerName: 'c' })

/** What a process that is killed now leaves behind is a copy of the files, without the lock. */
async function afterCrash<Found>(
  folder: string,
  look: (lab: LabServer) => Found | Promise<Found>,
  options: Partial<LabServerOptions> = {},
): Promise<Found> {
  const copy = await newFolder()
  await cp(folder, copy, { recursive: true })
  const address = { host: '127.0.0.1', port: 0 }
  const lab = await createLabServer({ ...address, region, accountId, dataDir: copy, ...options })
  try {
    return await look(lab)
  } finally {
    await lab.close()
  }
}

test('the disk forgets what the memory has no room for', async () => {
  const folder = await newFolder()
  const first = await openLab(folder, { storedBytesMax: 2 * 1024 * 1024 })
  first.ensureStream(StreamName, 1)
  for (let index = 0; index < 10; index++) await put(first, String(index).padEnd(500_000, 'x'))
  const left = textsIn(first)
  expect(left.length).toBeLessThan(5)
  await first.close()
  expect(textsIn(await openLab(folder, { storedBytesMax: 64 * 1024 * 1024 }))).toEqual(left)
})

test('a folder belongs to one lab at a time', async () => {
  const folder = await newFolder()
  const lab = await openLab(folder)
  await expect(openLab(folder)).rejects.toMatchObject({ code: 'DataFolderLocked' })
  await lab.close()
  expect(await openLab(folder)).toHaveProperty('port')
})

test('a chunk gives back what was written to it', () => {
  const record = fc.tuple(fc.string({ unit: 'grapheme', minLength: 1 }), fc.uint8Array())
  fc.assert(
    fc.property(fc.array(record, { minLength: 1 }), fc.nat(400), (records, bytesMax) => {
      const log = createShardLog(
        () => undefined,
        (wallMs) => wallMs,
      )
      records.forEach(([key, data], index) => log.append(key, data, 1_000 + index, index))
      const read: unknown[] = []
      let ordinal = 1
      while (ordinal < log.nextOrdinal()) {
        const chunk = encodeChunk(log, ordinal, bytesMax + 1)
        for (const it of decodeChunk(chunk.bytes)) {
          read.push([it.partitionKey, [...it.data], it.arrivalMs])
        }
        ordinal = chunk.nextOrdinal
      }
      const written = records.map(([key, data], index) => [
        Buffer.from(key).toString(),
        [...data],
        1_000 + index,
      ])
      expect(read).toEqual(written)
    }),
  )
})
