import * as client from '@aws-sdk/client-kinesis'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createAccountSettings } from '../../../src/lab/kinesis-operations/account-settings.ts'
import {
  kinesisOperations,
  missingKinesisOperations,
} from '../../../src/lab/kinesis-operations/kinesis-operations.ts'
import { operation } from '../../../src/lab/kinesis-operations/operation.ts'
import type { Operation, OperationContext } from '../../../src/lab/kinesis-operations/operation.ts'
import { createFaults } from '../../../src/lab/faults/faults.ts'
import { noLimits } from '../../../src/lab/streams/shard-limits.ts'
import { createStreamNamespaces } from '../../../src/lab/streams/stream-namespaces.ts'
import { createTokens } from '../../../src/lab/wire/tokens.ts'
import { readRequest, structure, text } from '../../../src/lab/wire/validation.ts'
import { jsonFormat } from '../../../src/lab/wire/wire-format.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { accountId, noDelays, rawCall, region, startLab } from '../lab-fixtures.ts'

/** The API model of AWS's client: every operation and member is carried out or refused. */
const [operationKind, structureKind, listKind] = [9, 3, 1]
type Schema = readonly unknown[]
const isSchema = (value: unknown, kind: number): value is Schema =>
  Array.isArray(value) && value[0] === kind
/** A schema may stand in a function, and in a list with its traits. */
function schemaOf(given: unknown): unknown {
  if (typeof given === 'function') return schemaOf((given as () => unknown)())
  return Array.isArray(given) && typeof given[0] === 'function' ? schemaOf(given[0]) : given
}

/** The paths of all members of a request, such as `Records.*.Data`. */
function membersOf(given: unknown, path = ''): string[] {
  const schema = schemaOf(given)
  if (isSchema(schema, listKind)) return membersOf(schema[4], `${path}.*`)
  if (!isSchema(schema, structureKind)) return [path]
  const [names, members] = [schema[4] as string[], schema[5] as unknown[]]
  return names.flatMap((name, index) => membersOf(members[index], path ? `${path}.${name}` : name))
}

const model = new Map(
  Object.values({ ...client } as Record<string, unknown>)
    .filter((value) => isSchema(value, operationKind))
    .map((schema) => [String(schema[2]), membersOf(schema[4]).filter((path) => path !== '')]),
)

test('the model has operations and members', () => {
  expect(model.size).toBeGreaterThan(40)
  expect(model.get('PutRecords')).toContain('Records.*.PartitionKey')
  expect(model.get('CreateStream')).toContain('StreamModeDetails.StreamMode')
})

test('every operation is carried out or refused by its name', async () => {
  const names = [...kinesisOperations.keys(), ...missingKinesisOperations.keys()]
  expect(names.toSorted()).toEqual([...model.keys()].toSorted())
  const lab = await startLab()
  for (const [name, reason] of missingKinesisOperations) {
    const { type, message } = await rawCall(lab, name, {})
    expect(type).toBe('UnknownOperationException')
    expect(message).toContain(`${name}: ${reason}`)
  }
})

const arn = (name: string) => `arn:aws:kinesis:${region}:${accountId}:stream/${name}`
const shard = (number: number) => `shardId-${number}`

/** What samples refer to. */
interface Made {
  readonly createdAt: number
  readonly consumerArn: string
  readonly iterator: string
  readonly sequenceNumber: string
  readonly token: (operation: string, input: object) => string
}

const named = { StreamName: 's', StreamARN: arn('s') }
const onDemand = { StreamName: 'd', StreamARN: arn('d') }
const key = { EncryptionType: 'KMS', KeyId: 'key' }
const record = { Data: '', PartitionKey: 'k', ExplicitHashKey: '0' }
const metrics = { ...named, ShardLevelMetrics: ['ALL'] }
const policy = { ResourceARN: arn('s'), Policy: '{"Statement": {}}' }

/** Valid requests: together they have every member that is carried out. */
const samples: Readonly<Record<string, (made: Made) => readonly object[]>> = {
  AddTagsToStream: () => [{ ...named, Tags: { a: 'b' } }],
  CreateStream: () => [
    {
      StreamName: 'n',
      ShardCount: 1,
      StreamModeDetails: { StreamMode: 'PROVISIONED' },
      Tags: { a: 'b' },
      MaxRecordSizeInKiB: 1024,
    },
    { StreamName: 'm', WarmThroughputMiBps: 1, RecordDistributionStrategy: 'AUTO' },
  ],
  DecreaseStreamRetentionPeriod: () => [{ ...named, RetentionPeriodHours: 24 }],
  DeleteResourcePolicy: () => [{ ResourceARN: arn('s') }],
  DeleteStream: () => [{ ...named, EnforceConsumerDeletion: true }],
  DeregisterStreamConsumer: ({ consumerArn }) => [
    { StreamARN: arn('s'), ConsumerName: 'c', ConsumerARN: consumerArn },
  ],
  DescribeAccountSettings: () => [{}],
  DescribeLimits: () => [{}],
  DescribeStream: () => [{ ...named, Limit: 1, ExclusiveStartShardId: shard(0) }],
  DescribeStreamConsumer: ({ consumerArn }) => [
    { StreamARN: arn('s'), ConsumerName: 'c', ConsumerARN: consumerArn },
  ],
  DescribeStreamSummary: () => [named],
  DisableEnhancedMonitoring: () => [metrics],
  EnableEnhancedMonitoring: () => [metrics],
  GetRecords: ({ iterator }) => [
    { ShardIterator: iterator, Limit: 1, StreamARN: arn('s'), DryRun: false },
  ],
  GetResourcePolicy: () => [{ ResourceARN: arn('s') }],
  GetShardIterator: ({ createdAt, sequenceNumber }) => [
    { ...named, ShardId: shard(0), ShardIteratorType: 'AT_TIMESTAMP', Timestamp: createdAt },
    {
      ...named,
      ShardId: shard(0),
      ShardIteratorType: 'AT_SEQUENCE_NUMBER',
      StartingSequenceNumber: sequenceNumber,
      DryRun: false,
    },
  ],
  IncreaseStreamRetentionPeriod: () => [{ ...named, RetentionPeriodHours: 48 }],
  ListShards: ({ createdAt, token }) => [
    {
      ...named,
      ExclusiveStartShardId: shard(0),
      MaxResults: 1,
      StreamCreationTimestamp: createdAt,
      ShardFilter: { Type: 'FROM_TIMESTAMP', Timestamp: createdAt },
    },
    { ...named, ShardFilter: { Type: 'AFTER_SHARD_ID', ShardId: shard(0) } },
    { NextToken: token('ListShards', { ...named, MaxResults: 1 }) },
  ],
  ListStreamConsumers: ({ createdAt, token }) => [
    { StreamARN: arn('s'), MaxResults: 1, StreamCreationTimestamp: createdAt },
    {
      StreamARN: arn('s'),
      NextToken: token('ListStreamConsumers', { StreamARN: arn('s'), MaxResults: 1 }),
    },
  ],
  ListStreams: ({ token }) => [
    { Limit: 1, ExclusiveStartStreamName: 'a' },
    { NextToken: token('ListStreams', { Limit: 1 }) },
  ],
  ListTagsForResource: () => [{ ResourceARN: arn('s') }],
  ListTagsForStream: () => [{ ...named, ExclusiveStartTagKey: 'a', Limit: 1 }],
  MergeShards: () => [{ ...named, ShardToMerge: shard(0), AdjacentShardToMerge: shard(1) }],
  PutRecord: ({ sequenceNumber }) => [
    { ...named, ...record, SequenceNumberForOrdering: sequenceNumber, DryRun: false },
  ],
  PutRecords: () => [{ ...named, Records: [record], DryRun: false }],
  PutResourcePolicy: () => [policy],
  RegisterStreamConsumer: () => [{ StreamARN: arn('s'), ConsumerName: 'n', Tags: { a: 'b' } }],
  RemoveTagsFromStream: () => [{ ...named, TagKeys: ['a'] }],
  SplitShard: () => [{ ...named, ShardToSplit: shard(0), NewStartingHashKey: '9' }],
  StartStreamEncryption: () => [{ ...named, ...key }],
  StopStreamEncryption: () => [{ ...named, ...key }],
  SubscribeToShard: ({ consumerArn: ConsumerARN, createdAt: Timestamp, sequenceNumber }) => [
    { ConsumerARN, ShardId: shard(0), StartingPosition: { Type: 'AT_TIMESTAMP', Timestamp } },
    {
      ConsumerARN,
      ShardId: shard(0),
      StartingPosition: { Type: 'AT_SEQUENCE_NUMBER', SequenceNumber: sequenceNumber },
      DryRun: false,
    },
  ],
  TagResource: () => [{ ResourceARN: arn('s'), Tags: { a: 'b' } }],
  UntagResource: () => [{ ResourceARN: arn('s'), TagKeys: ['a'] }],
  UpdateAccountSettings: () => [{ MinimumThroughputBillingCommitment: { Status: 'ENABLED' } }],
  UpdateMaxRecordSize: () => [{ StreamARN: arn('s'), MaxRecordSizeInKiB: 2048 }],
  UpdateShardCount: () => [{ ...named, TargetShardCount: 4, ScalingType: 'UNIFORM_SCALING' }],
  UpdateStreamMode: () => [
    {
      StreamARN: arn('s'),
      StreamModeDetails: { StreamMode: 'ON_DEMAND' },
      WarmThroughputMiBps: 1,
    },
  ],
  UpdateStreamRecordDistributionStrategy: () => [
    { StreamARN: arn('d'), RecordDistributionStrategy: 'AUTO' },
  ],
  UpdateStreamWarmThroughput: () => [{ ...onDemand, WarmThroughputMiBps: 1 }],
}

/** Members without an effect. docs/KINESIS.md tells of each. */
const withoutEffect: Readonly<Record<string, string>> = {
  'StopStreamEncryption.KeyId': 'the key is not checked',
  'UpdateShardCount.ScalingType': 'the one value that there is',
}

function createContext(): OperationContext {
  const clock = createManualClock()
  const options = { clock, storedBytesMax: 1_000_000, statusMs: noDelays }
  const streams = createStreamNamespaces(options).in({ accountId, region })
  return {
    clock,
    region,
    accountId,
    account: createAccountSettings(clock),
    streams,
    tokens: createTokens(clock),
    faults: createFaults(),
    limits: noLimits,
    streamForPut: (name) => streams.get(name),
  }
}

const operationNamed = (name: string): Operation => {
  const found = kinesisOperations.get(name)
  if (!found) throw new Error(`there is no operation ${name}`)
  return found
}
const exchangeOf = (name: string) => ({
  call: { operation: name, partitionKeys: [] },
  wire: jsonFormat,
})
const run = (context: OperationContext, name: string, input: object) =>
  operationNamed(name).run(context, input, exchangeOf(name)) as Record<string, string> | undefined

/** A stream with a consumer and all else that samples need, and one that is on demand. */
function prepare(context: OperationContext): Made {
  context.account.enable()
  run(context, 'CreateStream', { StreamName: 's', ShardCount: 2 })
  run(context, 'CreateStream', { StreamName: 'd' })
  for (const ConsumerName of ['c', 'e']) {
    run(context, 'RegisterStreamConsumer', { StreamARN: arn('s'), ConsumerName })
  }
  run(context, 'PutResourcePolicy', policy)
  const start = { ...named, ShardId: shard(0), ShardIteratorType: 'LATEST' }
  return {
    createdAt: context.streams.get('s').createdMs / 1000,
    consumerArn: context.streams.get('s').consumers.get('c')?.arn ?? '',
    iterator: run(context, 'GetShardIterator', start)?.['ShardIterator'] ?? '',
    sequenceNumber: run(context, 'PutRecord', { ...named, ...record })?.['SequenceNumber'] ?? '',
    token: (name, input) => run(context, name, input)?.['NextToken'] ?? '',
  }
}

/** Notes which members of a request are looked at. */
function watched<Value>(value: Value, path: string, seen: Set<string>): Value {
  const isPlain = typeof value === 'object' && value !== null && !(value instanceof Uint8Array)
  if (!isPlain) return value
  return new Proxy(value, {
    get(target, name, receiver) {
      const member: unknown = Reflect.get(target, name, receiver)
      if (typeof name === 'symbol' || typeof member === 'function') return member
      if (member === undefined) return undefined
      const below = Array.isArray(target) ? `${path}.*` : [path, name].filter(Boolean).join('.')
      seen.add(below)
      return watched(member, below, seen)
    },
  })
}

/** The members that an operation looks at when it carries out the requests. */
function membersCarriedOut(served: Operation, requestsOf: (made: Made) => readonly object[]) {
  const seen = new Set<string>()
  for (let index = 0, count = 1; index < count; index++) {
    const context = createContext()
    const requests = requestsOf(prepare(context))
    count = requests.length
    const input = readRequest(served.input, requests[index])
    served.execute(context, watched(input, '', seen), exchangeOf(served.name))
  }
  return seen
}

/** Whether a request with the member is refused, and the error names it. */
function isRefused({ input }: Operation, member: string): boolean {
  const problems: Parameters<typeof input.read>[1] = []
  try {
    input.read({ [member]: 'x' }, problems)
  } catch {
    return false
  }
  const path = member.charAt(0).toLowerCase() + member.slice(1)
  return problems.some((it) => it.path === path && it.constraint.startsWith('Member must be null'))
}

function membersIgnored(served: Operation, members: readonly string[], carriedOut: Set<string>) {
  return members.filter((member) => {
    if (withoutEffect[`${served.name}.${member}`] !== undefined) return false
    return !carriedOut.has(member) && !isRefused(served, member)
  })
}

describe('every member of a request is carried out or refused by its name', () => {
  test.each([...kinesisOperations.keys()])('%s', (name) => {
    const requestsOf = samples[name] ?? (() => [])
    const carriedOut = membersCarriedOut(operationNamed(name), requestsOf)
    expect(membersIgnored(operationNamed(name), model.get(name) ?? [], carriedOut)).toEqual([])
  })

  test('a member that is not known, and one that is known and ignored, are found', () => {
    const forgetful = operation('Forget', structure({ Known: text() }), () => undefined)
    const carriedOut = membersCarriedOut(forgetful, () => [{ Known: 'x', Unknown: 'y' }])
    expect(membersIgnored(forgetful, ['Known', 'Unknown'], carriedOut)).toEqual([
      'Known',
      'Unknown',
    ])
  })

  test('members without an effect are in the document', () => {
    const document = readFileSync(new URL('../../../docs/KINESIS.md', import.meta.url), 'utf8')
    for (const path of Object.keys(withoutEffect)) {
      const [name = '', member = ''] = path.split('.')
      expect(document).toMatch(new RegExp(`\`${member}\` of ${name}`))
    }
  })
})

describe('a dry run is checked and not carried out', () => {
  const dry = Object.keys(samples).filter((name) => model.get(name)?.includes('DryRun'))
  test.each(dry)('%s', async (name) => {
    const context = createContext()
    const request = samples[name]?.(prepare(context)).at(-1)
    const before = context.streams.get('s').shards.map(({ log }) => log.nextOrdinal())
    expect(() => run(context, name, { ...request, DryRun: true })).toThrow(
      expect.objectContaining({ code: 'DryRunOperationException' }) as Error,
    )
    expect(context.streams.get('s').shards.map(({ log }) => log.nextOrdinal())).toEqual(before)
    const wrong = { ...request, DryRun: true, ShardId: 'shardId-9', StreamARN: arn('missing') }
    expect(() => run(context, name, wrong)).not.toThrow(
      expect.objectContaining({ code: 'DryRunOperationException' }) as Error,
    )
  })
})
