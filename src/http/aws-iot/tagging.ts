import { invalidRequest } from '../../base/errors.ts'
import { checkTags } from '../../base/resource-tags.ts'

/**
 * Reads the header `x-amz-tagging` of CreateTopicRule.
 *
 * @param header form-encoded, with `+` or `%20` for a blank: `team=plant&site=north%2F2`
 * @throws SluiceError InvalidRequestException, naming the tag
 */
export function parseTagging(header: string | undefined): Readonly<Record<string, string>> {
  return checkTags(pairsOf(header ?? ''))
}

function pairsOf(header: string): (readonly [string, string])[] {
  return header
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const [key = '', ...value] = pair.split('=')
      return [decode(key), decode(value.join('='))] as const
    })
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw invalidRequest(`${text} in x-amz-tagging is not URL-encoded`)
  }
}
