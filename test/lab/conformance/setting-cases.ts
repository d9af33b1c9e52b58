import {
  AddTagsToStreamCommand,
  DecreaseStreamRetentionPeriodCommand,
  DescribeAccountSettingsCommand,
  DescribeStreamSummaryCommand,
  EnableEnhancedMonitoringCommand,
  IncreaseStreamRetentionPeriodCommand,
  ListTagsForResourceCommand,
  ListTagsForStreamCommand,
  PutRecordCommand,
  SplitShardCommand,
  StartStreamEncryptionCommand,
  TagResourceCommand,
  UpdateMaxRecordSizeCommand,
  UpdateStreamModeCommand,
} from '@aws-sdk/client-kinesis'
import { idOf, nameOfError } from './bench.ts'
import type { Case } from './cases.ts'

const onDemand = { StreamModeDetails: { StreamMode: 'ON_DEMAND' } } as const

export const settingCases: readonly Case[] = [
  {
    name: 'IncreaseStreamRetentionPeriod is reported',
    async run({ client, stream }) {
      const { StreamName, active } = await stream()
      const input = { StreamName, RetentionPeriodHours: 48 }
      await client.send(new IncreaseStreamRetentionPeriodCommand(input))
      await active()
      const found = await client.send(new DescribeStreamSummaryCommand({ StreamName }))
      return found.StreamDescriptionSummary?.RetentionPeriodHours
    },
    expected: 48,
  },
  {
    name: 'DecreaseStreamRetentionPeriod to less than 24 hours',
    async run({ client, common }) {
      const { StreamName } = await common()
      const input = { StreamName, RetentionPeriodHours: 23 }
      return nameOfError(client.send(new DecreaseStreamRetentionPeriodCommand(input)))
    },
    expected: 'InvalidArgumentException',
  },
  {
    name: 'AddTagsToStream and ListTagsForStream',
    async run({ client, stream }) {
      const { StreamName } = await stream()
      await client.send(new AddTagsToStreamCommand({ StreamName, Tags: { a: '1', b: '2' } }))
      return (await client.send(new ListTagsForStreamCommand({ StreamName }))).Tags
    },
    expected: [
      { Key: 'a', Value: '1' },
      { Key: 'b', Value: '2' },
    ],
  },
  {
    name: 'TagResource and ListTagsForResource of a consumer',
    async run({ client, stream }) {
      const ResourceARN = await (await stream()).consumer('c')
      await client.send(new TagResourceCommand({ ResourceARN, Tags: { a: '1' } }))
      return (await client.send(new ListTagsForResourceCommand({ ResourceARN }))).Tags
    },
    expected: [{ Key: 'a', Value: '1' }],
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: 'StartStreamEncryption is reported with each record put',
    async run({ client, stream }) {
      const { StreamName, active } = await stream()
      const input = { StreamName, EncryptionType: 'KMS', KeyId: 'alias/aws/kinesis' } as const
      await client.send(new StartStreamEncryptionCommand(input))
      await active()
      const record = { StreamName, PartitionKey: 'k', Data: Buffer.from('x') }
      return (await client.send(new PutRecordCommand(record))).EncryptionType
    },
    expected: 'KMS',
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: 'UpdateMaxRecordSize is reported',
    async run({ client, stream }) {
      const { StreamName, StreamARN, active } = await stream()
      await client.send(new UpdateMaxRecordSizeCommand({ StreamARN, MaxRecordSizeInKiB: 2048 }))
      await active()
      const found = await client.send(new DescribeStreamSummaryCommand({ StreamName }))
      return found.StreamDescriptionSummary?.MaxRecordSizeInKiB
    },
    expected: 2048,
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: 'UpdateStreamMode to ON_DEMAND, after which SplitShard is refused',
    async run({ client, stream }) {
      const { StreamName, StreamARN, active } = await stream()
      await client.send(new UpdateStreamModeCommand({ StreamARN, ...onDemand }))
      await active()
      const input = { StreamName, ShardToSplit: idOf(0), NewStartingHashKey: '9' }
      return nameOfError(client.send(new SplitShardCommand(input)))
    },
    expected: 'ValidationException',
    differences: { kinesalite: 'no such operation', 'kinesis-local': 'splits it' },
  },
  {
    name: 'EnableEnhancedMonitoring tells what was and what will be',
    async run({ client, stream }) {
      const { StreamName } = await stream()
      const input = { StreamName, ShardLevelMetrics: ['IncomingBytes'] } as const
      const command = new EnableEnhancedMonitoringCommand({
        ...input,
        ShardLevelMetrics: [...input.ShardLevelMetrics],
      })
      const { CurrentShardLevelMetrics, DesiredShardLevelMetrics } = await client.send(command)
      return [CurrentShardLevelMetrics, DesiredShardLevelMetrics]
    },
    expected: [[], ['IncomingBytes']],
    differences: { kinesalite: 'no such operation' },
  },
  {
    name: 'DescribeAccountSettings',
    run: ({ client }) => nameOfError(client.send(new DescribeAccountSettingsCommand({}))),
    expected: 'no error',
    differences: { kinesalite: 'no such operation' },
  },
]
