import { warmShardCount } from '../streams/resharding.ts'
import type { Stream, StreamMode } from '../streams/stream.ts'
import { ServiceError, invalidArgument } from '../wire/service-error.ts'
import { integer, required, structure } from '../wire/validation.ts'
import { streamMembers, streamOf } from './members.ts'
import { operation } from './operation.ts'
import type { OperationContext } from './operation.ts'

/** The write throughput that a stream in ON_DEMAND mode is scaled for in advance. */
export const warmThroughputMiBps = integer({ min: 0 })

/** 10 GiB a second (API Reference, UpdateStreamWarmThroughput). */
const warmMiBpsMax = 10_240

export const updateStreamWarmThroughput = operation(
  'UpdateStreamWarmThroughput',
  structure({ ...streamMembers, WarmThroughputMiBps: required(warmThroughputMiBps) }),
  (context, input) => {
    const stream = streamOf(context, input)
    const warmMiBps = input.WarmThroughputMiBps
    checkWarmThroughput(context, { mode: stream.mode, warmMiBps })
    refuseTooManyWarmShards(context, stream, warmMiBps)
    const WarmThroughput = { TargetMiBps: warmMiBps, CurrentMiBps: stream.openShards.length }
    context.streams.update(stream, { kind: 'warmThroughput', warmMiBps })
    return { StreamName: stream.name, StreamARN: stream.arn, WarmThroughput }
  },
)

/** @throws ServiceError LimitExceededException when the stream would get too many shards */
export function refuseTooManyWarmShards(
  { streams }: OperationContext,
  stream: Stream,
  warmMiBps: number,
): void {
  streams.refuseTooManyShards(Math.max(0, warmShardCount(warmMiBps) - stream.openShards.length))
}

/**
 * @throws ServiceError ValidationException for an account without the billing commitment;
 *   InvalidArgumentException for a stream in PROVISIONED mode; LimitExceededException
 */
export function checkWarmThroughput(
  { account }: OperationContext,
  { mode, warmMiBps }: { readonly mode: StreamMode; readonly warmMiBps: number | undefined },
): void {
  if (warmMiBps === undefined) return
  if (!account.isCommitted()) {
    throw new ServiceError(
      'ValidationException',
      'WarmThroughputMiBps needs MinimumThroughputBillingCommitment, which the account does not ' +
        'have: enable it with UpdateAccountSettings.',
    )
  }
  if (mode !== 'ON_DEMAND') {
    throw invalidArgument('WarmThroughputMiBps is only for streams in ON_DEMAND mode.')
  }
  if (warmMiBps > warmMiBpsMax) {
    throw new ServiceError(
      'LimitExceededException',
      `WarmThroughputMiBps can be at most ${warmMiBpsMax}: ${warmMiBps}.`,
    )
  }
}

/** The member of descriptions: only for streams in ON_DEMAND mode of a committed account. */
export const warmThroughputOf = ({ account }: OperationContext, stream: Stream) =>
  stream.mode === 'ON_DEMAND' && stream.warmMiBps !== undefined && account.isCommitted()
    ? { TargetMiBps: stream.warmMiBps, CurrentMiBps: stream.openShards.length }
    : undefined
