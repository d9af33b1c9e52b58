import { invalidRequest } from '../../base/errors.ts'

/** The token of the page that begins after this key. */
export function tokenOfKey(key: string): string {
  return Buffer.from(key).toString('base64url')
}

/** @throws SluiceError InvalidRequestException: no list gave this token */
export function keyOfToken(token: string): string {
  const bytes = Buffer.from(token, 'base64url')
  if (bytes.length > 0 && tokenOfKey(bytes.toString()) === token) return bytes.toString()
  throw invalidRequest('nextToken is not one that a list gave')
}
