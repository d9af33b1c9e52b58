import { invalidArgument } from '../wire/service-error.ts'
import { integer, list, required, structure } from '../wire/validation.ts'
import { streamMembers, streamOf, tagKey, tags } from './members.ts'
import { operation } from './operation.ts'

const tagsPerStreamMax = 50
const tagsPerCallMax = 50

export const addTagsToStream = operation(
  'AddTagsToStream',
  structure({ ...streamMembers, Tags: required(tags) }),
  (context, input) => {
    const stream = streamOf(context, input)
    checkTags(input.Tags, stream.tags)
    for (const [key, value] of Object.entries(input.Tags)) stream.tags.set(key, value)
    context.streams.touch(stream)
    return undefined
  },
)

export const removeTagsFromStream = operation(
  'RemoveTagsFromStream',
  structure({ ...streamMembers, TagKeys: required(list(tagKey, { min: 1, max: tagsPerCallMax })) }),
  (context, input) => {
    const stream = streamOf(context, input)
    checkTagKeys(input.TagKeys)
    for (const key of input.TagKeys) stream.tags.delete(key)
    context.streams.touch(stream)
    return undefined
  },
)

export const listTagsForStream = operation(
  'ListTagsForStream',
  structure({
    ...streamMembers,
    ExclusiveStartTagKey: tagKey,
    Limit: integer({ min: 1, max: tagsPerCallMax }),
  }),
  (context, input) => {
    const stream = streamOf(context, input)
    const after = input.ExclusiveStartTagKey
    const limit = input.Limit ?? tagsPerCallMax
    const waiting = tagList(stream.tags).filter(({ Key }) => after === undefined || Key > after)
    return { Tags: waiting.slice(0, limit), HasMoreTags: waiting.length > limit }
  },
)

/** Tags in the form of the API, sorted by key. */
export const tagList = (tagged: ReadonlyMap<string, string>) =>
  [...tagged]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([Key, Value]) => ({ Key, Value }))

/**
 * Checks tags that are added to those of a resource.
 * @throws ServiceError InvalidArgumentException for a reserved key, a character that tags cannot
 *   have, and too many tags
 */
export function checkTags(
  added: Readonly<Record<string, string>>,
  present: ReadonlyMap<string, string>,
): void {
  const keys = Object.keys(added)
  const reserved = keys.find((key) => key.toLowerCase().startsWith('aws:'))
  if (reserved !== undefined) {
    throw invalidArgument(`Tag keys that begin with aws: are reserved: ${reserved}.`)
  }
  checkTagKeys([...keys, ...Object.values(added)])
  const count = present.size + keys.filter((key) => !present.has(key)).length
  if (count > tagsPerStreamMax) {
    throw invalidArgument(`A resource can have ${tagsPerStreamMax} tags; this would make ${count}.`)
  }
}

/**
 * What a key and a value may consist of. The API Reference also allows a percent sign, and no
 * colon; AWS refuses the one and takes the other.
 */
const tagForm = /^[\p{L}\p{M}\p{N}\p{Z}\s_.:/=+\-@]*$/u

/** @throws ServiceError InvalidArgumentException for a character that tags cannot have */
export function checkTagKeys(texts: readonly string[]): void {
  const invalid = texts.find((text) => !tagForm.test(text))
  if (invalid === undefined) return
  throw invalidArgument(
    `Some tags contain invalid characters: ${invalid}. Valid are letters, digits, white space and ` +
      '_ . : / = + - @.',
  )
}
