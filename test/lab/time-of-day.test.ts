import { RegisterStreamConsumerCommand, SubscribeToShardCommand } from '@aws-sdk/client-kinesis'
import { AssumeRoleCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts'
import { allLimits } from '../../src/lab/streams/shard-limits.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { describeUnmoved, hourMs, minuteMs, secondMs } from '../helpers/time-of-day.ts'
import { base64, kinesisClient, noDelays, rawCall, startLab, stsClient } from './lab-fixtures.ts'

describeUnmoved({
  'the notice that the lab is full': {
    run: async (clock, step) => {
      const lines: unknown[] = []
      const logger = createMemoryLogger(({ msg }) => lines.push(msg))
      const lab = await startLab({ clock, logger, storedBytesMax: 1, statusMs: noDelays })
      lab.ensureStream('s', 1)
      const said: number[] = []
      for (let turn = 0; turn < 12; turn++) {
        await rawCall(lab, 'PutRecord', { StreamName: 's', PartitionKey: 'k', Data: base64('x') })
        said.push(lines.length)
        clock.advance(20 * secondMs)
        if (turn % 3 === 1) step()
      }
      return said
    },
    expected: [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4],
  },

  'what the lab gives out for five minutes, and keeps for a day': {
    run: async (clock, step) => {
      const lab = await startLab({ clock, statusMs: noDelays })
      const StreamName = 's'
      lab.ensureStream(StreamName, 1)
      lab.ensureStream('two', 2)
      const seen: unknown[] = []
      const put = () =>
        rawCall(lab, 'PutRecord', { StreamName, PartitionKey: 'k', Data: base64('x') })
      const start = {
        StreamName,
        ShardId: 'shardId-000000000000',
        ShardIteratorType: 'TRIM_HORIZON',
      }
      const read = async (sealed: unknown) => {
        const { output } = await rawCall(lab, 'GetRecords', { ShardIterator: sealed, Limit: 1 })
        const { Records: records, MillisBehindLatest: behindMs, __type: error } = output
        seen.push(error ? { error } : { records: (records as unknown[]).length, behindMs })
        return output['NextShardIterator']
      }
      const list = async (page: object) => {
        const { output } = await rawCall(lab, 'ListShards', { ...page, MaxResults: 1 })
        const { Shards: shards, NextToken, __type: error } = output
        if ('NextToken' in page) {
          seen.push(error ? { error } : { shards: (shards as unknown[]).length })
        }
        return { NextToken }
      }
      await put()
      await put()
      const { output } = await rawCall(lab, 'GetShardIterator', start)
      const page = await list({ StreamName: 'two' })
      clock.advance(4 * minuteMs)
      step()
      const next = await read(output['ShardIterator'])
      await list(page)
      clock.advance(4 * minuteMs)
      await read(next)
      await read(output['ShardIterator'])
      await list(page)
      const counts: number[] = []
      for (let hour = 0; hour < 26; hour++) {
        counts.push(lab.streams.records(StreamName).length)
        clock.advance(hourMs)
        if (hour === 10) await put()
        if (hour % 6 === 5) step()
      }
      return { seen, counts }
    },
    expected: {
      seen: [
        { records: 1, behindMs: 240_000 },
        { shards: 1 },
        { records: 1, behindMs: 0 },
        { error: 'ExpiredIteratorException' },
        { error: 'ExpiredNextTokenException' },
      ],
      counts: [...Array<number>(11).fill(2), ...Array<number>(13).fill(3), 1, 1],
    },
  },

  'closed shards, and the trim horizon': {
    run: async (clock, step) => {
      const lab = await startLab({ clock, statusMs: noDelays })
      const StreamName = 's'
      lab.ensureStream(StreamName, 1)
      const scale = (TargetShardCount: number) =>
        rawCall(lab, 'UpdateShardCount', {
          StreamName,
          TargetShardCount,
          ScalingType: 'UNIFORM_SCALING',
        })
      const seen: number[][] = []
      const look = async () => {
        const filters = [{}, { ShardFilter: { Type: 'AT_TRIM_HORIZON' } }]
        const lists = await Promise.all(
          filters.map((filter) => rawCall(lab, 'ListShards', { StreamName, ...filter })),
        )
        seen.push(lists.map(({ output }) => (output['Shards'] as unknown[]).length))
      }
      clock.advance(2 * hourMs)
      await scale(2)
      step()
      await look()
      clock.advance(12 * hourMs)
      step()
      await look()
      await scale(4)
      clock.advance(13 * hourMs)
      await look()
      step()
      clock.advance(13 * hourMs)
      await look()
      return seen
    },
    expected: [
      [3, 1],
      [3, 1],
      [6, 2],
      [4, 4],
    ],
  },

  "a shard's limits": {
    run: async (clock, step) => {
      const lab = await startLab({ clock, limits: allLimits, statusMs: noDelays })
      const StreamName = 's'
      lab.ensureStream(StreamName, 1)
      const Data = Buffer.alloc(700_000, 'x').toString('base64')
      const start = { StreamName, ShardId: 'shardId-000000000000', ShardIteratorType: 'LATEST' }
      const statuses: number[] = []
      for (let turn = 0; turn < 6; turn++) {
        const { status } = await rawCall(lab, 'PutRecord', { StreamName, PartitionKey: 'k', Data })
        statuses.push(status)
        clock.advance(200)
        step()
      }
      const { output } = await rawCall(lab, 'GetShardIterator', start)
      for (let turn = 0; turn < 8; turn++) {
        const answer = await rawCall(lab, 'GetRecords', { ShardIterator: output['ShardIterator'] })
        statuses.push(answer.status)
        if (turn === 5) step()
      }
      return statuses
    },
    expected: [200, 400, 200, 400, 400, 400, 200, 200, 200, 200, 200, 400, 400, 400],
  },

  'a subscription that another takes over': {
    run: async (clock, step) => {
      const lab = await startLab({ clock, limits: allLimits, statusMs: noDelays })
      lab.ensureStream('s', 1)
      const client = kinesisClient(lab, 'HTTP/2')
      const StreamARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
      const { Consumer } = await client.send(
        new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'c' }),
      )
      const subscribe = () =>
        client
          .send(
            new SubscribeToShardCommand({
              ConsumerARN: Consumer?.ConsumerARN,
              ShardId: 'shardId-000000000000',
              StartingPosition: { Type: 'LATEST' },
            }),
          )
          .then(
            () => 'subscribed',
            (error: Error) => error.name,
          )
      const seen = [await subscribe()]
      clock.advance(4_000)
      step()
      seen.push(await subscribe())
      clock.advance(1_000)
      seen.push(await subscribe())
      return seen
    },
    expected: ['subscribed', 'ResourceInUseException', 'subscribed'],
  },

  'the keys that the STS of a strict lab gave out': {
    run: async (clock, step) => {
      const keys = { accessKeyId: 'AKIALAB', secretAccessKey: 'a secret' }
      const lab = await startLab({ clock, strict: keys })
      const signedNow = () => ({ systemClockOffset: clock.wallMs() - Date.now() })
      const { Credentials: given } = await stsClient(lab, keys, signedNow()).send(
        new AssumeRoleCommand({
          RoleArn: 'arn:aws:iam::123456789012:role/iot',
          RoleSessionName: 'sluice',
          DurationSeconds: 900,
        }),
      )
      const call = () =>
        stsClient(
          lab,
          {},
          {
            ...signedNow(),
            credentials: {
              accessKeyId: given?.AccessKeyId ?? '',
              secretAccessKey: given?.SecretAccessKey ?? '',
              sessionToken: given?.SessionToken ?? '',
            },
          },
        )
          .send(new GetCallerIdentityCommand({}))
          .then(
            () => 'answered',
            (error: Error) => error.name,
          )
      const seen = [await call()]
      clock.advance(10 * minuteMs)
      step()
      seen.push(await call())
      clock.advance(5 * minuteMs)
      seen.push(await call())
      return seen
    },
    expected: ['answered', 'answered', 'ExpiredToken'],
  },

  'how long a call of the lab took': {
    run: async (clock, step) => {
      const lab = await startLab({ clock, callsMax: 10 })
      lab.faults.add({ effect: { kind: 'delay', delayMs: 1_000 }, times: 1 })
      const calling = rawCall(lab, 'ListStreams', {})
      while (clock.timerCount === 0) await new Promise((resolve) => setImmediate(resolve))
      step()
      clock.advance(1_000)
      await calling
      return lab.calls.list().map(({ startedMs, endedMs }) => endedMs - startedMs)
    },
    expected: [1_000],
  },
})
