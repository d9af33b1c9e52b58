import { invalidRequest } from './errors.ts'

/** The characters of keys and values (AWS IoT and Lambda API Reference, Tag). */
const tagText = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u
const keyCharactersMax = 128
const valueCharactersMax = 256
/** AWS's limit of tags on one resource. */
export const tagsMax = 50
const reservedPrefix = 'aws:'

/**
 * Checks the tags of a resource.
 *
 * @param pairs keys and values
 * @throws SluiceError InvalidRequestException, naming the tag
 */
export function checkTags(
  pairs: readonly (readonly [string, string])[],
): Readonly<Record<string, string>> {
  const tags = new Map<string, string>()
  for (const [key, value] of pairs) {
    checkTag(key, value)
    if (tags.has(key)) throw invalidRequest(`tag ${key} is given twice`)
    tags.set(key, value)
  }
  if (tags.size > tagsMax) {
    throw invalidRequest(`${tags.size} tags are given; at most ${tagsMax} are taken`)
  }
  return Object.freeze(Object.fromEntries(tags))
}

function checkTag(key: string, value: string): void {
  const keyCharacters = Array.from(key).length
  if (keyCharacters === 0) throw invalidRequest('a tag without a key is given')
  if (keyCharacters > keyCharactersMax) {
    throw invalidRequest(`the tag key ${key} has more than ${keyCharactersMax} characters`)
  }
  if (Array.from(value).length > valueCharactersMax) {
    throw invalidRequest(`the value of tag ${key} has more than ${valueCharactersMax} characters`)
  }
  if (key.toLowerCase().startsWith(reservedPrefix)) {
    throw invalidRequest(`the tag key ${key} begins with ${reservedPrefix}, which AWS reserves`)
  }
  if (!tagText.test(key) || !tagText.test(value)) {
    throw invalidRequest(
      `tag ${key} holds characters other than letters, digits, blanks and _.:/=+-@`,
    )
  }
}
