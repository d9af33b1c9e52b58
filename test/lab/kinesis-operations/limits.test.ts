import { describe, expect, test } from 'vitest'
import { base64, rawCall, startLab } from '../lab-fixtures.ts'

const data = base64('x')
const put = (members: object) => ({ StreamName: 's', PartitionKey: 'k', Data: data, ...members })
const batch = (...records: object[]) => ({ StreamName: 's', Records: records })
const entry = (members: object = {}) => ({ PartitionKey: 'k', Data: data, ...members })
const arn = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'

describe('what is at the limit is taken', () => {
  test.each<[what: string, operation: string, input: unknown]>([
    ['a key of 256 characters', 'PutRecord', put({ PartitionKey: '😀'.repeat(256) })],
    [
      '1 MiB with its key',
      'PutRecord',
      put({ Data: Buffer.alloc(1024 * 1024 - 1).toString('base64') }),
    ],
    ['no data at all', 'PutRecord', put({ Data: '' })],
    ['500 records', 'PutRecords', batch(...Array.from({ length: 500 }, () => entry()))],
    [
      '10 MiB in one call',
      'PutRecords',
      batch(
        ...Array.from({ length: 10 }, () =>
          entry({ Data: Buffer.alloc(1024 * 1024 - 1).toString('base64') }),
        ),
      ),
    ],
    ['the last hash key', 'PutRecord', put({ ExplicitHashKey: String((1n << 128n) - 1n) })],
    ['the stream by its ARN', 'PutRecord', { StreamARN: arn, PartitionKey: 'k', Data: data }],
    ['by name and ARN', 'PutRecord', put({ StreamARN: arn })],
    ['members that the lab does not know', 'PutRecord', put({ Else: {} })],
  ])('%s: %s', async (_what, operation, input) => {
    const lab = await startLab()
    lab.ensureStream('s', 2)
    expect(await rawCall(lab, operation, input)).toMatchObject({ status: 200 })
    expect(lab.streams.records('s').length).toBeGreaterThan(0)
  })

  test('a record over 1 MiB, where the stream allows for it', async () => {
    const lab = await startLab()
    await rawCall(lab, 'CreateStream', { StreamName: 's', ShardCount: 1, MaxRecordSizeInKiB: 2048 })
    const input = put({ Data: Buffer.alloc(2 * 1024 * 1024 - 1).toString('base64') })
    expect(await rawCall(lab, 'PutRecord', input)).toMatchObject({ status: 200 })
  })
})
