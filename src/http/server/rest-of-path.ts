import { SluiceError } from '../../base/errors.ts'

/**
 * What follows `prefix` in the path as it was sent: `a%2Fb` and `a/b` are one topic, and blanks,
 * empty levels and a slash at either end belong to it.
 *
 * @throws SluiceError InvalidRequestException: it is not URL-encoded
 */
export function restOfPath(url: string | undefined, prefix: string): string {
  const [path = ''] = (url ?? '').split('?', 1)
  try {
    return decodeURIComponent(path.slice(prefix.length))
  } catch {
    throw new SluiceError('InvalidRequestException', `${path} is not URL-encoded`)
  }
}
