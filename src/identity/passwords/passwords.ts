import { createHmac, randomBytes } from 'node:crypto'
import { createBoundedMap } from '../../base/bounded-map.ts'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { FileFaults } from '../../storage/file-faults.ts'
import type { FileReads } from '../../storage/file-reads.ts'
import { createCheckTurns } from './check-turns.ts'
import { createLoginLimiter, networkOf } from './login-limiter.ts'
import type { LoginLimiter } from './login-limiter.ts'
import { parsePasswordFile } from './password-file.ts'
import type { PasswordHashes } from './password-file.ts'
import { createDecoyHash, isPasswordOf, passwordBytesMax } from './password-hash.ts'
import type { PasswordHash } from './password-hash.ts'
import { openReloadedFile } from '../../storage/reloaded-file.ts'

/**
 * Checks passwords against the password file.
 *
 * Invariants:
 * - At most `checksAtOnceMax` hashes are computed at once, so that logins leave threads of libuv's
 *   pool to the disk. Other logins wait for their turn (see check-turns.ts) while their clients are
 *   connected.
 * - A login that has to be compared counts as a failure as soon as it is queued. The failure is
 *   taken back if the password is correct or was never compared.
 * - A user that logged in from an address is not limited by the failures of other users there.
 * - An unknown user takes as long as a wrong password.
 * - A password that was right is remembered as a keyed digest (the key is of this process, and in
 *   its memory alone), so that a fleet that reconnects is let in at once. It is forgotten with the
 *   hash that it belongs to: a changed or removed user is checked against the file that holds now.
 */
export interface Passwords {
  /** Never rejects. */
  check(login: Login): Promise<LoginOutcome>
  close(): void
}

interface Login {
  readonly user: string
  readonly password: Uint8Array
  /** IP address of the client. */
  readonly address: string
  /** Aborted when the client has gone. */
  readonly gone?: AbortSignal | undefined
}

type LoginOutcome =
  | 'right'
  /** No such user, or another password. */
  | 'wrong'
  /** Too many failures of this address or user: the client may come again later. */
  | 'limited'
  /** Too many logins at once, or the file cannot be read now: the client may come again. */
  | 'busy'
  /** The client went before its password was compared. */
  | 'gone'

interface PasswordsOptions {
  readonly file: string
  readonly checksAtOnceMax?: number
  readonly checksWaitingMax?: number
  readonly checksWaitingPerAddressMax?: number
  readonly rememberedMax?: number
}

interface PasswordsDependencies {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'error'>
  /** Is notified of a file that cannot be read. */
  readonly faults?: FileFaults | undefined
  readonly reads?: FileReads | undefined
  /** Shared with other ways to log in by a secret. */
  readonly limiter?: LoginLimiter
}

/** @throws SluiceError IdentityFileInvalid */
export async function openPasswords(
  dependencies: PasswordsDependencies,
  options: PasswordsOptions,
): Promise<Passwords> {
  const { file, checksAtOnceMax = 2, checksWaitingMax = 1_000, rememberedMax = 10_000 } = options
  const limiter = dependencies.limiter ?? createLoginLimiter({ clock: dependencies.clock })
  const users = await openReloadedFile<PasswordHashes>(dependencies, {
    file,
    kind: 'passwords',
    title: 'the password file',
    parse: parsePasswordFile,
    whenUnreadable: new Map(),
  })
  const remembered = createMemory(rememberedMax)
  const turns = createCheckTurns({
    runningMax: checksAtOnceMax,
    waitingMax: checksWaitingMax,
    waitingPerAddressMax: options.checksWaitingPerAddressMax ?? 16,
  })
  const decoy = createDecoyHash()

  async function compare(login: Login): Promise<LoginOutcome> {
    // The file may have changed while the login waited.
    if (users.isUnreadable()) return 'busy'
    const hash = users.current().get(login.user)
    const isRight = await isPasswordOf(hash ?? decoy, login.password)
    if (!hash || !isRight) return 'wrong'
    remembered.add(login, hash)
    return 'right'
  }

  async function compareInTurn(login: Login): Promise<LoginOutcome> {
    limiter.failed(login)
    const outcome = await turns.run(networkOf(login.address), login.gone, () => compare(login))
    if (outcome !== 'wrong') limiter.giveBack(login)
    return outcome
  }

  function fail(login: Login, outcome: LoginOutcome): LoginOutcome {
    limiter.failed(login)
    return outcome
  }

  const waitMs = (login: Login, hash: PasswordHash | undefined) =>
    hash && remembered.wasAt(login, hash) ? limiter.pairWaitMs(login) : limiter.waitMs(login)

  return {
    async check(login) {
      const hash = users.current().get(login.user)
      if (waitMs(login, hash) > 0) return 'limited'
      // The file cannot be read now: the client may try again later.
      if (users.isUnreadable()) return 'busy'
      if (login.password.length > passwordBytesMax) return fail(login, 'wrong')
      if (hash && remembered.has(login, hash)) return 'right'
      // The password was compared with the cached one, which has to count as a guess, too.
      if (limiter.userWaitMs(login.user) > 0) return fail(login, 'limited')
      return compareInTurn(login)
    },
    close: () => users.close(),
  }
}

interface RememberedLogin {
  readonly hash: PasswordHash
  readonly digest: string
  /** The network of the user's last successful login. */
  network: string
}

/** The last correct password of each user, as long as its hash is in the file. */
function createMemory(usersMax: number) {
  const key = randomBytes(32)
  const known = createBoundedMap<string, RememberedLogin>(usersMax)
  // The timing of a comparison reveals nothing, because attackers do not have the key.
  const digestOf = (password: Uint8Array, { salt }: PasswordHash) =>
    createHmac('sha256', key).update(salt).update(password).digest('base64')
  const entryOf = ({ user }: Login, hash: PasswordHash) => {
    const entry = known.get(user)
    return entry?.hash.hash.equals(hash.hash) ? entry : undefined
  }
  return {
    has(login: Login, hash: PasswordHash): boolean {
      const entry = entryOf(login, hash)
      if (entry?.digest !== digestOf(login.password, hash)) return false
      entry.network = networkOf(login.address)
      return true
    },
    wasAt: (login: Login, hash: PasswordHash): boolean =>
      entryOf(login, hash)?.network === networkOf(login.address),
    add(login: Login, hash: PasswordHash): void {
      const { user, password, address } = login
      known.set(user, { hash, digest: digestOf(password, hash), network: networkOf(address) })
    },
  }
}
