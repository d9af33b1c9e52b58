import { describe, expect, test } from 'vitest'
import type { LabServer } from '../../../src/lab/server/lab-server.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { base64, noDelays, rawCall, startLab } from '../lab-fixtures.ts'
import type { ManualClock } from '../../helpers/manual-clock.ts'

const shardId = 'shardId-000000000000'
const secondMs = 1_000
const hourMs = 3_600_000

const arn = (name: string) => `arn:aws:kinesis:us-east-1:000000000000:stream/${name}`

interface Bench {
  readonly lab: LabServer
  readonly clock: ManualClock
  /** Stores records of one shard, a second apart; gives their sequence numbers. */
  put(...texts: string[]): Promise<string[]>
  iterator(type: string, more?: object): Promise<string>
  /** The texts that an iterator gives, and what else the answer says. */
  read(iterator: string, limit?: number): Promise<Page>
}

interface Page {
  readonly texts: readonly string[]
  readonly next: string
  readonly behindMs: number
  readonly type: string | undefined
}

async function createBench(): Promise<Bench> {
  const clock = createManualClock()
  const lab = await startLab({ clock, statusMs: noDelays })
  lab.ensureStream('s', 1)
  return {
    lab,
    clock,
    async put(...texts) {
      const numbers: string[] = []
      for (const text of texts) {
        clock.advance(secondMs)
        const input = { StreamName: 's', PartitionKey: 'k', Data: base64(text) }
        numbers.push(String((await rawCall(lab, 'PutRecord', input)).output['SequenceNumber']))
      }
      return numbers
    },
    async iterator(type, more = {}) {
      const input = { StreamName: 's', ShardId: shardId, ShardIteratorType: type, ...more }
      return String((await rawCall(lab, 'GetShardIterator', input)).output['ShardIterator'])
    },
    async read(iterator, limit) {
      const input = { ShardIterator: iterator, ...(limit === undefined ? {} : { Limit: limit }) }
      const { output, type } = await rawCall(lab, 'GetRecords', input)
      const records = (output['Records'] ?? []) as { Data: string }[]
      return {
        texts: records.map((record) => Buffer.from(record.Data, 'base64').toString()),
        next: String(output['NextShardIterator']),
        behindMs: Number(output['MillisBehindLatest']),
        type,
      }
    },
  }
}

describe('a shard iterator begins', () => {
  test.each([
    ['TRIM_HORIZON', () => ({}), ['a', 'b', 'c']],
    ['LATEST', () => ({}), []],
    ['AT_SEQUENCE_NUMBER', (b: string) => ({ StartingSequenceNumber: b }), ['b', 'c']],
    ['AFTER_SEQUENCE_NUMBER', (b: string) => ({ StartingSequenceNumber: b }), ['c']],
    ['AT_TIMESTAMP', (_: string, bMs: number) => ({ Timestamp: bMs / 1000 }), ['b', 'c']],
    ['AT_TIMESTAMP', (_: string, bMs: number) => ({ Timestamp: (bMs + 1) / 1000 }), ['c']],
    ['AT_TIMESTAMP', () => ({ Timestamp: 0 }), ['a', 'b', 'c']],
  ] as const)('%s, case %#', async (type, membersOf, expected) => {
    const bench = await createBench()
    const [, b = ''] = await bench.put('a', 'b', 'c')
    const members = membersOf(b, bench.clock.wallMs() - secondMs)
    const iterator = await bench.iterator(type, members)
    const page = await bench.read(iterator)
    expect(page.texts).toEqual(expected)
    // And goes on with what is written afterwards.
    await bench.put('d')
    expect((await bench.read(page.next)).texts).toEqual(['d'])
  })

  test('at the start of the shard, by the number that DescribeStream gives', async () => {
    const bench = await createBench()
    await bench.put('a')
    const { output } = await rawCall(bench.lab, 'DescribeStream', { StreamName: 's' })
    const start = /"StartingSequenceNumber":"(\d+)"/.exec(JSON.stringify(output))?.[1]
    for (const type of ['AT_SEQUENCE_NUMBER', 'AFTER_SEQUENCE_NUMBER']) {
      const iterator = await bench.iterator(type, { StartingSequenceNumber: start })
      expect((await bench.read(iterator)).texts).toEqual(['a'])
    }
  })

  test('LATEST where the shard ended when the iterator was given out', async () => {
    const bench = await createBench()
    const iterator = await bench.iterator('LATEST')
    await bench.put('a')
    expect((await bench.read(iterator)).texts).toEqual(['a'])
    expect((await bench.read(iterator)).texts, 'an iterator can be used again').toEqual(['a'])
  })
})

describe('GetRecords', () => {
  test('gives as many as the limit and says how far behind that is', async () => {
    const bench = await createBench()
    await bench.put('a', 'b', 'c')
    const first = await bench.read(await bench.iterator('TRIM_HORIZON'), 2)
    expect(first).toMatchObject({ texts: ['a', 'b'], behindMs: 1 })
    bench.clock.advance(5 * secondMs)
    const behind = await bench.read(await bench.iterator('TRIM_HORIZON'), 1)
    expect(behind).toMatchObject({ texts: ['a'], behindMs: 6 * secondMs })
    expect(await bench.read(first.next)).toMatchObject({ texts: ['c'], behindMs: 0 })
  })

  test('gives at most 10 MiB, and goes on behind it', async () => {
    const bench = await createBench()
    const text = 'x'.repeat(1024 * 1024 - 1)
    await bench.put(...Array.from({ length: 11 }, () => text))
    const first = await bench.read(await bench.iterator('TRIM_HORIZON'))
    expect(first.texts).toHaveLength(10)
    expect((await bench.read(first.next)).texts).toHaveLength(1)
  })

  test('refuses an iterator after five minutes', async () => {
    const bench = await createBench()
    const iterator = await bench.iterator('TRIM_HORIZON')
    bench.clock.advance(300_000)
    expect((await bench.read(iterator)).type).toBeUndefined()
    bench.clock.advance(1)
    expect((await bench.read(iterator)).type).toBe('ExpiredIteratorException')
  })

  test('refuses an iterator that was altered', async () => {
    const bench = await createBench()
    const iterator = await bench.iterator('TRIM_HORIZON')
    const altered = Buffer.from(iterator, 'base64')
    altered.writeUInt8(altered.readUInt8(altered.length - 2) ^ 1, altered.length - 2)
    const page = await bench.read(altered.toString('base64'))
    expect(page.type).toBe('InvalidArgumentException')
  })

  test('refuses an iterator of a stream that is gone, even if it has a namesake', async () => {
    const bench = await createBench()
    const iterator = await bench.iterator('TRIM_HORIZON')
    await rawCall(bench.lab, 'DeleteStream', { StreamName: 's' })
    expect((await bench.read(iterator)).type).toBe('ResourceNotFoundException')
    bench.lab.ensureStream('s', 1)
    expect((await bench.read(iterator)).type).toBe('ResourceNotFoundException')
  })

  test('refuses an iterator together with the ARN of another stream', async () => {
    const bench = await createBench()
    const input = { ShardIterator: await bench.iterator('LATEST') }
    const own = await rawCall(bench.lab, 'GetRecords', { ...input, StreamARN: arn('s') })
    expect(own.status).toBe(200)
    const other = await rawCall(bench.lab, 'GetRecords', { ...input, StreamARN: arn('t') })
    expect(other.type).toBe('InvalidArgumentException')
  })
})

describe('a sequence number', () => {
  test('of a namesake that was deleted is refused', async () => {
    const bench = await createBench()
    const [old] = await bench.put('a')
    await rawCall(bench.lab, 'DeleteStream', { StreamName: 's' })
    bench.lab.ensureStream('s', 1)
    await bench.put('b')
    const answer = await rawCall(bench.lab, 'GetShardIterator', {
      StreamName: 's',
      ShardId: shardId,
      ShardIteratorType: 'AT_SEQUENCE_NUMBER',
      StartingSequenceNumber: old,
    })
    expect(answer.type).toBe('InvalidArgumentException')
  })

  test('grows from record to record, as a number and as text', async () => {
    const bench = await createBench()
    const numbers = await bench.put(...Array.from({ length: 12 }, (_, index) => String(index)))
    expect(numbers.toSorted()).toEqual(numbers)
    expect(numbers.toSorted((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1))).toEqual(numbers)
  })
})

describe('retention', () => {
  test('is 24 hours', async () => {
    const bench = await createBench()
    const [a] = await bench.put('a')
    bench.clock.advance(23 * hourMs)
    await bench.put('b')
    bench.clock.advance(hourMs - secondMs)
    expect((await bench.read(await bench.iterator('TRIM_HORIZON'))).texts).toEqual(['a', 'b'])
    bench.clock.advance(1)
    expect((await bench.read(await bench.iterator('TRIM_HORIZON'))).texts).toEqual(['b'])
    // A place that was trimmed away goes on with the oldest record that is left.
    const iterator = await bench.iterator('AT_SEQUENCE_NUMBER', { StartingSequenceNumber: a })
    expect((await bench.read(iterator)).texts).toEqual(['b'])
  })

  test('can be lengthened, which brings nothing back, and shortened', async () => {
    const bench = await createBench()
    const set = (operation: string, hours: number) =>
      rawCall(bench.lab, `${operation}StreamRetentionPeriod`, {
        StreamName: 's',
        RetentionPeriodHours: hours,
      })
    await bench.put('a')
    bench.clock.advance(25 * hourMs)
    await bench.put('b')
    expect(await set('Increase', 48)).toMatchObject({ status: 200 })
    expect((await bench.read(await bench.iterator('TRIM_HORIZON'))).texts).toEqual(['b'])
    bench.clock.advance(25 * hourMs)
    expect((await bench.read(await bench.iterator('TRIM_HORIZON'))).texts).toEqual(['b'])
    expect(await set('Decrease', 24)).toMatchObject({ status: 200 })
    expect((await bench.read(await bench.iterator('TRIM_HORIZON'))).texts).toEqual([])
  })
})
