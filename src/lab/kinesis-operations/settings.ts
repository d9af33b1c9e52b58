import { ServiceError, invalidArgument } from '../wire/service-error.ts'
import type { Stream } from '../streams/stream.ts'
import { retentionHoursDefault } from '../streams/streams.ts'
import { integer, list, oneOf, required, structure, text } from '../wire/validation.ts'
import {
  distributionStrategy,
  maxRecordSizeInKiB,
  refuseDistribution,
  streamArn,
  streamId,
  streamMembers,
  streamModeDetails,
  streamOf,
} from './members.ts'
import { operation } from './operation.ts'
import type { OperationContext, Output } from './operation.ts'
import {
  checkWarmThroughput,
  refuseTooManyWarmShards,
  warmThroughputMiBps,
} from './warm-throughput.ts'

const retentionHoursMax = 8_760

export const updateStreamMode = operation(
  'UpdateStreamMode',
  structure({
    StreamARN: required(streamArn),
    StreamId: streamId,
    StreamModeDetails: required(streamModeDetails),
    WarmThroughputMiBps: warmThroughputMiBps,
  }),
  (context, input) => {
    const mode = input.StreamModeDetails.StreamMode
    const warmMiBps = input.WarmThroughputMiBps
    checkWarmThroughput(context, { mode, warmMiBps })
    const stream = streamOf(context, input)
    if (warmMiBps !== undefined) refuseTooManyWarmShards(context, stream, warmMiBps)
    context.streams.update(stream, { kind: 'mode', mode, warmMiBps })
    return undefined
  },
)

/** Takes effect at once: the stream does not become UPDATING. */
export const updateStreamRecordDistributionStrategy = operation(
  'UpdateStreamRecordDistributionStrategy',
  structure({
    StreamARN: required(streamArn),
    StreamId: streamId,
    RecordDistributionStrategy: required(distributionStrategy),
  }),
  (context, input) => {
    const stream = streamOf(context, input)
    refuseDistribution(stream.mode)
    if (stream.status !== 'ACTIVE') {
      throw new ServiceError(
        'ResourceInUseException',
        `Stream ${stream.name} under account ${context.accountId} not ACTIVE, instead in state ` +
          `${stream.status}.`,
      )
    }
    stream.distribution = input.RecordDistributionStrategy
    context.streams.touch(stream)
    return undefined
  },
)

export const increaseStreamRetentionPeriod = operation(
  'IncreaseStreamRetentionPeriod',
  structure({ ...streamMembers, RetentionPeriodHours: required(integer()) }),
  (context, input) => {
    const stream = streamOf(context, input)
    const hours = checkedRetention(input.RetentionPeriodHours)
    if (hours < stream.retentionHours) throw notA('an increase', stream, hours)
    // Records that the shorter period has expired stay expired.
    context.streams.trim(stream)
    context.streams.update(stream, { kind: 'retention', hours })
    return undefined
  },
)

export const decreaseStreamRetentionPeriod = operation(
  'DecreaseStreamRetentionPeriod',
  structure({ ...streamMembers, RetentionPeriodHours: required(integer()) }),
  (context, input) => {
    const stream = streamOf(context, input)
    const hours = checkedRetention(input.RetentionPeriodHours)
    if (hours > stream.retentionHours) throw notA('a decrease', stream, hours)
    context.streams.update(stream, { kind: 'retention', hours })
    return undefined
  },
)

function checkedRetention(hours: number): number {
  if (hours >= retentionHoursDefault && hours <= retentionHoursMax) return hours
  throw invalidArgument(
    `RetentionPeriodHours must be from ${retentionHoursDefault} to ${retentionHoursMax}: ${hours}.`,
  )
}

const notA = (change: string, { name, retentionHours }: Stream, hours: number) =>
  invalidArgument(
    `Stream ${name} keeps records for ${retentionHours} hours: ${hours} would not be ${change}.`,
  )

export const updateMaxRecordSize = operation(
  'UpdateMaxRecordSize',
  structure({
    StreamARN: streamArn,
    StreamId: streamId,
    MaxRecordSizeInKiB: required(maxRecordSizeInKiB),
  }),
  (context, input) => {
    const stream = streamOf(context, input)
    context.streams.update(stream, { kind: 'maxRecordSize', kib: input.MaxRecordSizeInKiB })
    return undefined
  },
)

const encryptionMembers = {
  ...streamMembers,
  EncryptionType: required(oneOf(['NONE', 'KMS'])),
  KeyId: required(text({ min: 1, max: 2048 })),
} as const

export const startStreamEncryption = operation(
  'StartStreamEncryption',
  structure(encryptionMembers),
  (context, input) => {
    const stream = streamOf(context, input)
    refuseNoEncryption(input.EncryptionType)
    context.streams.update(stream, { kind: 'encryption', keyId: input.KeyId })
    return undefined
  },
)

export const stopStreamEncryption = operation(
  'StopStreamEncryption',
  structure(encryptionMembers),
  (context, input) => {
    const stream = streamOf(context, input)
    refuseNoEncryption(input.EncryptionType)
    context.streams.update(stream, { kind: 'encryption' })
    return undefined
  },
)

function refuseNoEncryption(type: 'NONE' | 'KMS'): void {
  if (type === 'NONE') throw invalidArgument('EncryptionType must be KMS: NONE is no encryption.')
}

const metricNames = [
  'IncomingBytes',
  'IncomingRecords',
  'IteratorAgeMilliseconds',
  'OutgoingBytes',
  'OutgoingRecords',
  'ReadProvisionedThroughputExceeded',
  'WriteProvisionedThroughputExceeded',
] as const

const monitoringMembers = {
  ...streamMembers,
  ShardLevelMetrics: required(list(oneOf([...metricNames, 'ALL']), { min: 1, max: 7 })),
} as const

export const enableEnhancedMonitoring = operation(
  'EnableEnhancedMonitoring',
  structure(monitoringMembers),
  (context, input) => {
    const stream = streamOf(context, input)
    const added = namesOf(input.ShardLevelMetrics)
    return setMetrics(context, stream, [...new Set([...stream.shardLevelMetrics, ...added])])
  },
)

export const disableEnhancedMonitoring = operation(
  'DisableEnhancedMonitoring',
  structure(monitoringMembers),
  (context, input) => {
    const stream = streamOf(context, input)
    const removed = new Set(namesOf(input.ShardLevelMetrics))
    const remaining = stream.shardLevelMetrics.filter((name) => !removed.has(name))
    return setMetrics(context, stream, remaining)
  },
)

const namesOf = (given: readonly string[]): readonly string[] =>
  given.includes('ALL') ? metricNames : given

function setMetrics(context: OperationContext, stream: Stream, names: readonly string[]): Output {
  const before = stream.shardLevelMetrics
  const after = names.toSorted()
  context.streams.update(stream, { kind: 'metrics', names: after })
  return {
    StreamName: stream.name,
    StreamARN: stream.arn,
    CurrentShardLevelMetrics: before,
    DesiredShardLevelMetrics: after,
  }
}
