import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import type { ScryptOptions } from 'node:crypto'
import { invalidRequest } from '../../base/errors.ts'

/**
 * Hashes of passwords: scrypt (RFC 7914) in the PHC string format,
 *
 *   $scrypt$ln=15,r=8,p=3$<salt>$<hash>       ln: log2 of N; base64 without padding
 *
 * so that each hash carries its own parameters, and a stronger default leaves older hashes valid.
 * The hashes are computed on libuv's threads, not on the event loop.
 */
export interface PasswordHash {
  readonly cost: ScryptCost
  readonly salt: Buffer
  readonly hash: Buffer
}

export interface ScryptCost {
  /** log2 of the CPU and memory cost N. */
  readonly logN: number
  readonly r: number
  readonly p: number
}

/** OWASP Password Storage Cheat Sheet: N = 2^15, r = 8, p = 3, which takes 32 MiB. */
const defaultCost: ScryptCost = Object.freeze({ logN: 15, r: 8, p: 3 })

/** Strong enough to protect a stolen file for long, and cheap enough for a login. */
const costLimits = Object.freeze({
  logN: { minimum: 14, maximum: 18 },
  r: { minimum: 8, maximum: 16 },
  p: { minimum: 1, maximum: 16 },
})
/** 128 * N * r (RFC 7914, 2). */
const memoryBytesMax = 268_435_456
const saltBytes = 16
const hashBytes = 32
/** A longer password would make hashing expensive. */
export const passwordBytesMax = 1_024

const form = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/** @throws SluiceError InvalidRequestException: the password is empty or too long */
export async function hashPassword(password: string, cost = defaultCost): Promise<string> {
  const size = Buffer.byteLength(password)
  if (size === 0) throw invalidRequest('the password is empty')
  if (size > passwordBytesMax) {
    throw invalidRequest(`the password has ${size} bytes; at most ${passwordBytesMax} are taken`)
  }
  const salt = randomBytes(saltBytes)
  const hash = await derive(Buffer.from(password), salt, cost)
  return `$scrypt$ln=${cost.logN},r=${cost.r},p=${cost.p}$${encode(salt)}$${encode(hash)}`
}

/** @throws SluiceError InvalidRequestException; the message does not quote the text */
export function parsePasswordHash(text: string): PasswordHash {
  const [, logN, r, p, salt = '', hash = ''] = form.exec(text) ?? []
  if (logN === undefined)
    throw invalidRequest('not a hash of the form $scrypt$ln=..,r=..,p=..$salt$hash')
  const cost = { logN: Number(logN), r: Number(r), p: Number(p) }
  for (const name of ['logN', 'r', 'p'] as const) {
    const { minimum, maximum } = costLimits[name]
    if (cost[name] >= minimum && cost[name] <= maximum) continue
    const shown = name === 'logN' ? 'ln' : name
    throw invalidRequest(`${shown}=${cost[name]} of the hash is not from ${minimum} to ${maximum}`)
  }
  if (memoryOf(cost) > memoryBytesMax)
    throw invalidRequest('the hash takes more than 256 MiB of memory')
  const parsed = { cost, salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') }
  if (parsed.salt.length < saltBytes || parsed.hash.length !== hashBytes) {
    throw invalidRequest(`the hash has not ${saltBytes} bytes of salt and ${hashBytes} of hash`)
  }
  return Object.freeze(parsed)
}

/** Compares in constant time. */
export async function isPasswordOf(hash: PasswordHash, password: Uint8Array): Promise<boolean> {
  if (password.length > passwordBytesMax) return false
  return timingSafeEqual(await derive(password, hash.salt, hash.cost), hash.hash)
}

/** A hash that no password has. It is checked for unknown users, so that they take as long. */
export function createDecoyHash(): PasswordHash {
  return { cost: defaultCost, salt: randomBytes(saltBytes), hash: randomBytes(hashBytes) }
}

function derive(password: Uint8Array, salt: Uint8Array, cost: ScryptCost): Promise<Buffer> {
  const options: ScryptOptions = {
    N: 2 ** cost.logN,
    r: cost.r,
    p: cost.p,
    // Node counts some more blocks, and refuses a hash that reaches the limit.
    maxmem: memoryOf(cost) + 256 * cost.r * (cost.p + 4),
  }
  return new Promise((resolve, reject) => {
    scrypt(password, salt, hashBytes, options, (error, hash) => {
      if (error) reject(error)
      else resolve(hash)
    })
  })
}

const memoryOf = ({ logN, r }: ScryptCost) => 128 * 2 ** logN * r

const encode = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
