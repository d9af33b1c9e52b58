import { ServiceError, invalidArgument } from '../wire/service-error.ts'
import type { Stream } from '../streams/stream.ts'
import { retentionHoursDefault } from '../streams/streams.ts'
import { integer, list, oneOf, required, structure, text } from '../wire/validation.ts'
import {
  maxRecordSizeInKiB,
  streamArn,
  streamMembers,
  streamModeDetails,
  streamOf,
} from './members.ts'
import { operation } from './operation.ts'
import type { OperationContext, Output } from './operation.ts'

const retentionHoursMax = 8_760

export const updateStreamMode = operation(
  'UpdateStreamMode',
  structure({
    StreamARN: required(streamArn),
    StreamModeDetails: required(streamModeDetails),
    WarmThroughputMiBps: integer({ min: 0 }),
  }),
  (context, input) => {
    refuseWarmThroughput(input.WarmThroughputMiBps)
    const stream = streamOf(context, input)
    context.streams.update(stream, { kind: 'mode', mode: input.StreamModeDetails.StreamMode })
    return undefined
  },
)

/** @throws ServiceError ValidationException, as for an account without a billing commitment */
function refuseWarmThroughput(mibPerSecond: number | undefined): void {
  if (mibPerSecond === undefined) return
  throw new ServiceError(
    'ValidationException',
    'WarmThroughputMiBps needs MinimumThroughputBillingCommitment, which the account does not ' +
      'have.',
  )
}

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
  structure({ StreamARN: streamArn, MaxRecordSizeInKiB: required(maxRecordSizeInKiB) }),
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
