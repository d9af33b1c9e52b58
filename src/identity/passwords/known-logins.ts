import { createHash, createHmac, randomBytes } from 'node:crypto'
import { createBoundedMap } from '../../base/bounded-map.ts'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { invalidFile, readSecretFile, writeSecretFile } from '../../storage/secret-file.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { networkOf } from './login-limiter.ts'
import type { PasswordHash } from './password-hash.ts'

/**
 * The last correct password of each user, as a keyed tag, so that a fleet that reconnects is let in
 * without scrypt (docs/decisions/0031-known-logins-under-a-key-kept-elsewhere.md).
 *
 * Invariants:
 * - A tag belongs to one user and one hash: once either changes, it fits no password.
 * - Without a key file the key is of this process and in its memory alone, and nothing is written.
 *   With a key file the tags survive the process, in a file that does not hold the key.
 * - The file is a cache: when it cannot be read or written, logins are checked by scrypt.
 */
interface KnownLogins {
  has(login: KnownLogin, hash: PasswordHash): boolean
  /** Whether the last login of the user was from the network of this one. */
  wasAt(login: KnownLogin, hash: PasswordHash): boolean
  add(login: KnownLogin, hash: PasswordHash): void
  /** Writes what was not written yet. Never rejects. */
  close(): Promise<void>
}

interface KnownLogin {
  readonly user: string
  readonly password: Uint8Array
  /** IP address. */
  readonly address: string
}

interface KnownLoginsDependencies {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'error'>
  /** The hash of a user as it is now. */
  readonly hashOf: (user: string) => PasswordHash | undefined
}

/** Where tags are kept beyond the process. */
export interface KeptLogins {
  readonly file: string
  /** Holds at least `keyCharactersMin` characters, mode 600. */
  readonly keyFile: string
}

interface Entry {
  readonly fingerprint: string
  readonly tag: string
  /** Of the last login; undefined when that was of an earlier process. */
  network: string | undefined
}

const keyCharactersMin = 32
/** How long a login may be missing in the file; a killed process loses as much. */
const saveAfterMs = 30_000
/** Less than is read back, see `secret-file.ts`. */
const fileCharactersMax = 8_000_000

/** @throws SluiceError IdentityFileInvalid: the key file */
export async function openKnownLogins(
  { clock, logger, hashOf }: KnownLoginsDependencies,
  { usersMax, kept }: { readonly usersMax: number; readonly kept: KeptLogins | undefined },
): Promise<KnownLogins> {
  const key = kept === undefined ? randomBytes(32) : await readKey(kept.keyFile)
  const known = createBoundedMap<string, Entry>(usersMax)
  const users = new Set<string>()
  let cancel: (() => void) | undefined
  let saving: Promise<void> = Promise.resolve()

  if (kept) {
    for (const [user, entry] of await readTags(kept.file, key, logger)) {
      known.set(user, entry)
      users.add(user)
    }
  }

  const entryOf = (user: string, hash: PasswordHash) => {
    const entry = known.get(user)
    return entry?.fingerprint === fingerprintOf(hash) ? entry : undefined
  }

  async function save(file: string): Promise<void> {
    let text = `${headOf(key)}\n`
    for (const user of users) {
      const hash = hashOf(user)
      const entry = hash && entryOf(user, hash)
      if (entry === undefined || text.length > fileCharactersMax) users.delete(user)
      else text += `${user}:${entry.fingerprint}:${entry.tag}\n`
    }
    try {
      await writeSecretFile(file, text)
    } catch (thrown) {
      logger.error({ file, reason: messageOf(thrown) }, 'known logins could not be written')
    }
  }

  function saveNow(file: string): void {
    cancel?.()
    cancel = undefined
    saving = saving.then(() => save(file))
  }

  return {
    has(login, hash) {
      const entry = entryOf(login.user, hash)
      // The timing of a comparison reveals nothing, because attackers do not have the key.
      if (entry?.tag !== tagOf(key, login, hash)) return false
      entry.network = networkOf(login.address)
      return true
    },
    wasAt: ({ user, address }, hash) => entryOf(user, hash)?.network === networkOf(address),
    add(login, hash) {
      const { user, address } = login
      const fingerprint = fingerprintOf(hash)
      known.set(user, { fingerprint, tag: tagOf(key, login, hash), network: networkOf(address) })
      if (kept === undefined) return
      users.add(user)
      cancel ??= clock.after(saveAfterMs, () => saveNow(kept.file))
    },
    async close() {
      if (kept && cancel) saveNow(kept.file)
      await saving
    },
  }
}

/** A hash is one object for as long as its line is in the file. */
const fingerprints = new WeakMap<PasswordHash, string>()

/** Names the hash that a tag belongs to. It says nothing of the password. */
function fingerprintOf(hash: PasswordHash): string {
  const known = fingerprints.get(hash)
  if (known !== undefined) return known
  const digest = createHash('sha256').update(hash.hash).update(hash.salt).digest('base64url')
  const fingerprint = digest.slice(0, 22)
  fingerprints.set(hash, fingerprint)
  return fingerprint
}

function tagOf(key: Uint8Array, { user, password }: KnownLogin, hash: PasswordHash): string {
  // A user has no control characters, and hash and fingerprint have fixed lengths: no two logins
  // are one text.
  const bound = createHmac('sha256', key).update(hash.hash).update(fingerprintOf(hash))
  return bound.update(`${user}\0`).update(password).digest('base64url')
}

const headOf = (key: Uint8Array): string =>
  `sluice-logins 1 ${createHmac('sha256', key).update('head').digest('base64url')}`

async function readKey(keyFile: string): Promise<Buffer> {
  const text = (await readSecretFile(keyFile))?.text.trim()
  if (text === undefined) throw invalidFile(keyFile, 'is not there: it holds the key of logins')
  if (text.length < keyCharactersMin) {
    const problem = `has ${text.length} characters; the key of logins has ${keyCharactersMin} or more`
    throw invalidFile(keyFile, `${problem}: openssl rand -base64 32`)
  }
  return Buffer.from(text)
}

/** @returns the entries of the file; none when it was written under another key, or is damaged */
async function readTags(
  file: string,
  key: Uint8Array,
  logger: Pick<Logger, 'info' | 'error'>,
): Promise<ReadonlyMap<string, Entry>> {
  const entries = new Map<string, Entry>()
  try {
    const [head, ...lines] = (await readSecretFile(file))?.text.split('\n') ?? []
    if (head !== headOf(key)) return entries
    for (const line of lines) {
      const [user, fingerprint, tag] = line.split(':')
      if (user && fingerprint && tag) entries.set(user, { fingerprint, tag, network: undefined })
    }
    logger.info({ file, users: entries.size }, 'known logins were read')
  } catch (thrown) {
    logger.error({ file, reason: messageOf(thrown) }, 'known logins could not be read')
  }
  return entries
}
