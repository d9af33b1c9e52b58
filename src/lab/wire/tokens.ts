import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/**
 * Shard iterators and NextTokens: opaque text that the lab wrote itself.
 *
 * Format: base64 of a 16-byte keyed hash and then JSON. The key is the server's own, and new at
 * each start unless it is kept on disk: a made-up or altered token, or one of another server, is told apart from an
 * expired one.
 */
export interface Tokens {
  seal(content: object): string
  /** The content of a token that this server sealed; undefined for anything else. */
  open(token: string): unknown
}

const hashBytes = 16
export const tokenKeyBytes = 32

export function createTokens(key: Buffer = randomBytes(tokenKeyBytes)): Tokens {
  const hashOf = (text: Buffer) =>
    createHmac('sha256', key).update(text).digest().subarray(0, hashBytes)
  return {
    seal(content) {
      const text = Buffer.from(JSON.stringify(content))
      return Buffer.concat([hashOf(text), text]).toString('base64')
    },
    open(token) {
      const bytes = Buffer.from(token, 'base64')
      const text = bytes.subarray(hashBytes)
      if (bytes.length <= hashBytes) return undefined
      if (!timingSafeEqual(bytes.subarray(0, hashBytes), hashOf(text))) return undefined
      return JSON.parse(text.toString()) as unknown
    },
  }
}
