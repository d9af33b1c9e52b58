import type { Stream } from '../streams/stream.ts'
import { list, required, structure, text } from '../wire/validation.ts'
import { consumerByArn } from './consumers.ts'
import { streamOf, tagKey, tags } from './members.ts'
import { operation } from './operation.ts'
import type { OperationContext } from './operation.ts'
import { checkTags, tagList } from './tags.ts'

/** The ARN of a stream or of a consumer. */
const resourceArn = text({
  min: 1,
  max: 2048,
  pattern: 'arn:aws.*:kinesis:.*:\\d{12}:.*stream/\\S+',
})
const tagKeysMax = 50

export const tagResource = operation(
  'TagResource',
  structure({ ResourceARN: required(resourceArn), Tags: required(tags) }),
  (context, input) => {
    const { stream, present } = tagsOf(context, input.ResourceARN)
    checkTags(Object.keys(input.Tags), present)
    for (const [key, value] of Object.entries(input.Tags)) present.set(key, value)
    context.streams.touch(stream)
    return undefined
  },
)

export const untagResource = operation(
  'UntagResource',
  structure({
    ResourceARN: required(resourceArn),
    TagKeys: required(list(tagKey, { min: 1, max: tagKeysMax })),
  }),
  (context, input) => {
    const { stream, present } = tagsOf(context, input.ResourceARN)
    for (const key of input.TagKeys) present.delete(key)
    context.streams.touch(stream)
    return undefined
  },
)

export const listTagsForResource = operation(
  'ListTagsForResource',
  structure({ ResourceARN: required(resourceArn) }),
  (context, input) => ({ Tags: tagList(tagsOf(context, input.ResourceARN).present) }),
)

/** @throws ServiceError ResourceNotFoundException */
function tagsOf(
  context: OperationContext,
  arn: string,
): { readonly stream: Stream; readonly present: Map<string, string> } {
  if (!arn.includes('/consumer/')) {
    const stream = streamOf(context, { StreamARN: arn })
    return { stream, present: stream.tags }
  }
  const { stream, consumer } = consumerByArn(context, arn)
  return { stream, present: consumer.tags }
}
