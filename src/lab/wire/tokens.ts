import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { createStoredTime } from '../../base/stored-time.ts'

/**
 * Shard iterators and NextTokens: opaque texts that the lab signs.
 *
 * Format: base64 of a 16-byte keyed hash and JSON: the content, and the time of sealing by the
 * monotonic clock for the same run of the server and by the time of day for later runs. Each server
 * has its own key, new at each start unless it is stored on disk. A forged or altered token, or one
 * of another server, is distinguished from an expired one.
 */
export interface Tokens {
  seal(content: object): string
  /** @returns the content that this server sealed, and its age; undefined for any other text */
  open(token: string): { readonly content: unknown; readonly ageMs: number } | undefined
}

interface Sealed {
  readonly content: object
  readonly run: string
  readonly sealedMs: number
  readonly wallMs: number
}

const hashBytes = 16
export const tokenKeyBytes = 32

export function createTokens(clock: Clock, key: Buffer = randomBytes(tokenKeyBytes)): Tokens {
  const run = randomUUID().slice(0, 8)
  const storedTime = createStoredTime(clock)
  const hashOf = (text: Buffer) =>
    createHmac('sha256', key).update(text).digest().subarray(0, hashBytes)
  return {
    seal(content) {
      const sealedMs = Math.round(clock.monotonicMs())
      const sealed: Sealed = { content, run, sealedMs, wallMs: clock.wallMs() }
      const text = Buffer.from(JSON.stringify(sealed))
      return Buffer.concat([hashOf(text), text]).toString('base64')
    },
    open(token) {
      const bytes = Buffer.from(token, 'base64')
      const text = bytes.subarray(hashBytes)
      if (bytes.length <= hashBytes) return undefined
      if (!timingSafeEqual(bytes.subarray(0, hashBytes), hashOf(text))) return undefined
      const sealed = JSON.parse(text.toString()) as Sealed
      const sealedMs = sealed.run === run ? sealed.sealedMs : storedTime(sealed.wallMs)
      return {
        content: sealed.content,
        ageMs: Math.max(0, Math.round(clock.monotonicMs() - sealedMs)),
      }
    },
  }
}
