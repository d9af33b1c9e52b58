import type { FanOutConsumer } from '../streams/fan-out-consumer.ts'
import type { Stream } from '../streams/stream.ts'
import { list, required, structure, text } from '../wire/validation.ts'
import { consumerByArn } from './consumers.ts'
import { streamId, streamOf, tagKey, tags } from './members.ts'
import { operation } from './operation.ts'
import type { OperationContext } from './operation.ts'
import { checkTagKeys, checkTags, tagList } from './tags.ts'

/** The ARN of a stream or of a consumer. */
export const resourceArn = text({
  min: 1,
  max: 2048,
  pattern: 'arn:aws.*:kinesis:.*:\\d{12}:.*stream/\\S+',
})
const tagKeysMax = 50

export const tagResource = operation(
  'TagResource',
  structure({ ResourceARN: required(resourceArn), StreamId: streamId, Tags: required(tags) }),
  (context, input) => {
    const { stream, holder } = resourceOf(context, input.ResourceARN)
    checkTags(input.Tags, holder.tags)
    for (const [key, value] of Object.entries(input.Tags)) holder.tags.set(key, value)
    context.streams.touch(stream)
    return undefined
  },
)

export const untagResource = operation(
  'UntagResource',
  structure({
    ResourceARN: required(resourceArn),
    StreamId: streamId,
    TagKeys: required(list(tagKey, { min: 1, max: tagKeysMax })),
  }),
  (context, input) => {
    const { stream, holder } = resourceOf(context, input.ResourceARN)
    checkTagKeys(input.TagKeys)
    for (const key of input.TagKeys) holder.tags.delete(key)
    context.streams.touch(stream)
    return undefined
  },
)

export const listTagsForResource = operation(
  'ListTagsForResource',
  structure({ ResourceARN: required(resourceArn), StreamId: streamId }),
  (context, input) => ({ Tags: tagList(resourceOf(context, input.ResourceARN).holder.tags) }),
)

/**
 * The stream or consumer of an ARN.
 * @throws ServiceError ResourceNotFoundException
 */
export function resourceOf(
  context: OperationContext,
  arn: string,
): { readonly stream: Stream; readonly holder: Stream | FanOutConsumer } {
  if (arn.includes('/consumer/')) {
    const { stream, consumer } = consumerByArn(context, arn)
    return { stream, holder: consumer }
  }
  const stream = streamOf(context, { StreamARN: arn })
  return { stream, holder: stream }
}
