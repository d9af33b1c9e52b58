import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { FileFaults } from '../../storage/file-faults.ts'
import type { FileReads } from '../../storage/file-reads.ts'
import { createCheckTurns } from './check-turns.ts'
import { openKnownLogins } from './known-logins.ts'
import type { KeptLogins } from './known-logins.ts'
import { createLoginLimiter, networkOf } from './login-limiter.ts'
import type { LoginLimiter } from './login-limiter.ts'
import { parsePasswordFile, usersMax } from './password-file.ts'
import type { PasswordHashes } from './password-file.ts'
import { createDecoyHash, isPasswordOf, passwordBytesMax } from './password-hash.ts'
import type { PasswordHash } from './password-hash.ts'
import { openReloadedFile } from '../../storage/reloaded-file.ts'
import type { SecretSource } from '../../storage/reloaded-file.ts'

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
 * - A password that was right is known from then on (known-logins.ts), so that a fleet that
 *   reconnects is let in at once. It is forgotten with the hash that it belongs to: a changed or
 *   removed user is checked against the file that holds now.
 */
export interface Passwords {
  /** Never rejects. */
  check(login: Login): Promise<LoginOutcome>
  close(): Promise<void>
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
  /** What is read instead of the file. */
  readonly source?: SecretSource | undefined
  readonly checksAtOnceMax?: number
  readonly checksWaitingMax?: number
  readonly checksWaitingPerAddressMax?: number
  readonly knownMax?: number
  /** Absent: known logins end with the process. */
  readonly keptLogins?: KeptLogins | undefined
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
  const { file, checksAtOnceMax = 2, checksWaitingMax = 1_000, knownMax = usersMax } = options
  const limiter = dependencies.limiter ?? createLoginLimiter({ clock: dependencies.clock })
  const users = await openReloadedFile<PasswordHashes>(dependencies, {
    file,
    source: options.source,
    kind: 'passwords',
    title: 'the password file',
    parse: parsePasswordFile,
    whenUnreadable: new Map(),
  })
  const hashOf = (user: string) => users.current().get(user)
  const knownLogins = await openKnownLogins(
    { ...dependencies, hashOf },
    { usersMax: knownMax, kept: options.keptLogins },
  ).catch((thrown: unknown) => {
    users.close()
    throw thrown
  })
  const turns = createCheckTurns({
    runningMax: checksAtOnceMax,
    waitingMax: checksWaitingMax,
    waitingPerAddressMax: options.checksWaitingPerAddressMax ?? 16,
  })
  const decoy = createDecoyHash()

  async function compare(login: Login): Promise<LoginOutcome> {
    // The file may have changed while the login waited.
    if (users.isUnreadable()) return 'busy'
    const hash = hashOf(login.user)
    const isRight = await isPasswordOf(hash ?? decoy, login.password)
    if (!hash || !isRight) return 'wrong'
    knownLogins.add(login, hash)
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
    hash && knownLogins.wasAt(login, hash) ? limiter.pairWaitMs(login) : limiter.waitMs(login)

  return {
    async check(login) {
      const hash = hashOf(login.user)
      if (waitMs(login, hash) > 0) return 'limited'
      // The file cannot be read now: the client may try again later.
      if (users.isUnreadable()) return 'busy'
      if (login.password.length > passwordBytesMax) return fail(login, 'wrong')
      if (hash && knownLogins.has(login, hash)) return 'right'
      // The password was compared with the cached one, which has to count as a guess, too.
      if (limiter.userWaitMs(login.user) > 0) return fail(login, 'limited')
      return compareInTurn(login)
    },
    async close() {
      await knownLogins.close()
      users.close()
    },
  }
}
