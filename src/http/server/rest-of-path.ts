import { SluiceError } from '../../base/errors.ts'

/**
 * The part of the path after `prefix`, decoded from the path as it was sent: `a%2Fb` and `a/b` are
 * one topic, and blanks, empty levels and a slash at either end belong to the topic.
 *
 * @throws SluiceError InvalidRequestException: the path is not URL-encoded
 */
export function restOfPath(url: string | undefined, prefix: string): string {
  const [path = ''] = (url ?? '').split('?', 1)
  try {
    return decodeURIComponent(path.slice(prefix.length))
  } catch {
    throw new SluiceError('InvalidRequestException', `${path} is not URL-encoded`)
  }
}
