import { endSubscriptions, parseConsumerArn, secondsOf } from '../streams/fan-out-consumer.ts'
import type { FanOutConsumer } from '../streams/fan-out-consumer.ts'
import { ServiceError, invalidArgument, notFound } from '../wire/service-error.ts'
import type { Stream } from '../streams/stream.ts'
import { integer, required, structure, timestampMs } from '../wire/validation.ts'
import type { WireFormat } from '../wire/wire-format.ts'
import { refuseOtherCreation } from './listing.ts'
import {
  consumerArn,
  consumerName,
  nextToken,
  streamArn,
  streamId,
  streamOf,
  tags,
} from './members.ts'
import { operation } from './operation.ts'
import type { OperationContext } from './operation.ts'
import { openPage, sealPage } from './pages.ts'
import { checkTags } from './tags.ts'

const consumersPerStreamMax = 20
/** The consumers of all streams that may be CREATING at the same time. */
const consumersCreatingMax = 5
const consumersListedMax = 100

export const registerStreamConsumer = operation(
  'RegisterStreamConsumer',
  structure({
    StreamARN: required(streamArn),
    ConsumerName: required(consumerName),
    StreamId: streamId,
    Tags: tags,
  }),
  (context, input, { wire }) => {
    const stream = streamOf(context, input)
    const name = input.ConsumerName
    refuseNotRegistrable(context, stream, name)
    const { Tags: tagged = {} } = input
    checkTags(tagged, new Map())
    const consumer = newConsumer(context, stream, name, tagged)
    stream.consumers.set(name, consumer)
    context.streams.touch(stream)
    context.streams.afterConsumerStatus(() => {
      if (consumer.status === 'CREATING') consumer.status = 'ACTIVE'
    })
    return { Consumer: { ...description(consumer, wire), ConsumerStatus: 'CREATING' } }
  },
)

function refuseNotRegistrable(context: OperationContext, stream: Stream, name: string): void {
  const { accountId, streams } = context
  const under = `stream ${stream.name} under account ${accountId}`
  if (stream.consumers.has(name)) {
    const message = `Consumer ${name} of ${under} already exists.`
    throw new ServiceError('ResourceInUseException', message)
  }
  if (stream.status === 'CREATING' || stream.status === 'DELETING') {
    const message = `The ${under} is not ACTIVE, instead in state ${stream.status}.`
    throw new ServiceError('ResourceInUseException', message)
  }
  if (stream.consumers.size >= consumersPerStreamMax) {
    const message = `The ${under} has ${consumersPerStreamMax} consumers, which is the limit.`
    throw new ServiceError('LimitExceededException', message)
  }
  const creating = streams
    .list()
    .flatMap(({ consumers }) => [...consumers.values()])
    .filter(({ status }) => status === 'CREATING')
  if (creating.length >= consumersCreatingMax) {
    const message = `${consumersCreatingMax} consumers at most can be CREATING at the same time.`
    throw new ServiceError('LimitExceededException', message)
  }
}

function newConsumer(
  { clock }: OperationContext,
  stream: Stream,
  name: string,
  tagged: Readonly<Record<string, string>>,
): FanOutConsumer {
  const createdMs = clock.wallMs()
  // A consumer never gets the ARN of an earlier consumer of the same name.
  const seconds = Math.max(Math.floor(createdMs / 1000), stream.lastConsumerSeconds + 1)
  return {
    name,
    arn: `${stream.arn}/consumer/${name}:${seconds}`,
    createdMs,
    tags: new Map(Object.entries(tagged)),
    policy: undefined,
    status: 'CREATING',
    subscriptions: new Map(),
  }
}

const consumerNaming = {
  StreamARN: streamArn,
  ConsumerName: consumerName,
  ConsumerARN: consumerArn,
  StreamId: streamId,
} as const

export const deregisterStreamConsumer = operation(
  'DeregisterStreamConsumer',
  structure(consumerNaming),
  (context, input) => {
    const { stream, consumer } = consumerOf(context, input)
    if (consumer.status === 'DELETING') {
      const message = `Consumer ${consumer.arn} is being deregistered.`
      throw new ServiceError('ResourceInUseException', message)
    }
    consumer.status = 'DELETING'
    endSubscriptions(consumer)
    context.streams.touch(stream)
    context.streams.afterConsumerStatus(() => {
      if (stream.consumers.get(consumer.name) !== consumer) return
      stream.consumers.delete(consumer.name)
      stream.lastConsumerSeconds = Math.max(stream.lastConsumerSeconds, secondsOf(consumer.arn))
      context.streams.touch(stream)
    })
    return undefined
  },
)

export const describeStreamConsumer = operation(
  'DescribeStreamConsumer',
  structure(consumerNaming),
  (context, input, { wire }) => {
    const { stream, consumer } = consumerOf(context, input)
    return { ConsumerDescription: { ...description(consumer, wire), StreamARN: stream.arn } }
  },
)

export const listStreamConsumers = operation(
  'ListStreamConsumers',
  structure({
    StreamARN: required(streamArn),
    NextToken: nextToken,
    MaxResults: integer({ min: 1, max: 10_000 }),
    StreamCreationTimestamp: timestampMs,
    StreamId: streamId,
  }),
  (context, input, { wire }) => {
    const { NextToken: token, StreamCreationTimestamp: created } = input
    if (token !== undefined && created !== undefined) {
      throw invalidArgument('NextToken and StreamCreationTimestamp cannot be given together.')
    }
    const stream = streamOf(context, input)
    refuseOtherCreation(context, stream, created)
    const page = token === undefined ? undefined : openPage(context, 'listStreamConsumers', token)
    if (page && page.streamCreatedMs !== stream.createdMs) {
      throw invalidArgument(`The NextToken is not of stream ${stream.name}.`)
    }
    const limit = Math.min(input.MaxResults ?? consumersListedMax, consumersListedMax)
    const waiting = [...stream.consumers.values()]
      .toSorted((left, right) => (left.name < right.name ? -1 : 1))
      .filter(({ name }) => page === undefined || name > page.after)
    const consumers = waiting.slice(0, limit)
    const last = consumers.at(-1)
    return {
      Consumers: consumers.map((consumer) => description(consumer, wire)),
      ...(waiting.length > limit && last
        ? {
            NextToken: sealPage(context, 'listStreamConsumers', {
              after: last.name,
              streamCreatedMs: stream.createdMs,
            }),
          }
        : {}),
    }
  },
)

const description = (consumer: FanOutConsumer, wire: WireFormat) => ({
  ConsumerName: consumer.name,
  ConsumerARN: consumer.arn,
  ConsumerStatus: consumer.status,
  ConsumerCreationTimestamp: wire.time(consumer.createdMs),
})

interface ConsumerNaming {
  readonly StreamARN?: string
  readonly ConsumerName?: string
  readonly ConsumerARN?: string
}

interface FoundConsumer {
  readonly stream: Stream
  readonly consumer: FanOutConsumer
}

/**
 * The consumer that a request names: by its ARN, or by its name and its stream's ARN.
 * @throws ServiceError InvalidArgumentException, ResourceNotFoundException
 */
function consumerOf(context: OperationContext, input: ConsumerNaming): FoundConsumer {
  const { StreamARN, ConsumerName, ConsumerARN } = input
  if (ConsumerARN === undefined) {
    if (StreamARN === undefined || ConsumerName === undefined) {
      throw invalidArgument('Either ConsumerARN, or both StreamARN and ConsumerName must be given.')
    }
    const stream = streamOf(context, { StreamARN })
    const consumer = stream.consumers.get(ConsumerName)
    if (!consumer) throw noConsumer(context, ConsumerName, stream.name)
    return { stream, consumer }
  }
  const found = consumerByArn(context, ConsumerARN)
  const isOther =
    (StreamARN !== undefined && StreamARN !== found.stream.arn) ||
    (ConsumerName !== undefined && ConsumerName !== found.consumer.name)
  if (isOther) {
    throw invalidArgument(
      `ConsumerARN ${ConsumerARN} does not match the StreamARN or the ConsumerName given.`,
    )
  }
  return found
}

/** @throws ServiceError ResourceNotFoundException, also for the ARN of an earlier consumer */
export function consumerByArn(context: OperationContext, arn: string): FoundConsumer {
  const parts = parseConsumerArn(arn)
  if (!parts) throw notFound(`Consumer ${arn} not found.`)
  const stream = streamOf(context, { StreamARN: parts.streamArn })
  const consumer = stream.consumers.get(parts.name)
  if (consumer?.arn !== arn) throw noConsumer(context, arn, stream.name)
  return { stream, consumer }
}

const noConsumer = ({ accountId }: OperationContext, which: string, streamName: string) =>
  notFound(`Consumer ${which} of stream ${streamName} under account ${accountId} not found.`)
