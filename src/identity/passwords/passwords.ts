import { createHmac, randomBytes } from 'node:crypto'
import { createBoundedMap } from '../../base/bounded-map.ts'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { FileFaults } from '../../storage/file-faults.ts'
import type { FileReads } from '../../storage/file-reads.ts'
import { createLoginLimiter } from './login-limiter.ts'
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
 *   pool to the disk; at most `checksWaitingMax` wait, and what comes beyond is `busy`.
 * - A user that is not there takes as long as a wrong password.
 * - A password that was right is remembered as a keyed digest (the key is of this process, and in its
 *   memory alone), so that a fleet that reconnects is let in at once. It is forgotten with the hash
 *   that it belongs to: a changed or removed user is checked against the file that holds now.
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
}

type LoginOutcome =
  | 'right'
  /** No such user, or another password. */
  | 'wrong'
  /** Too many failures of this address or user: the client may come again later. */
  | 'limited'
  /** Too many logins at once, or the file cannot be read now: the client may come again. */
  | 'busy'

interface PasswordsOptions {
  readonly file: string
  readonly checksAtOnceMax?: number
  readonly checksWaitingMax?: number
  readonly rememberedMax?: number
}

interface PasswordsDependencies {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'error'>
  /** Told of a file that cannot be read. */
  readonly faults?: FileFaults | undefined
  readonly reads?: FileReads | undefined
  /** Shared with what else lets clients in by a secret. */
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
  const slots = createSlots(checksAtOnceMax, checksWaitingMax)
  const decoy = createDecoyHash()

  async function compare(login: Login): Promise<LoginOutcome> {
    // What waited is looked at again: others may have failed meanwhile, and a hash may have changed.
    if (isLimited(login)) return 'limited'
    if (users.isUnreadable()) return 'busy'
    const hash = users.current().get(login.user)
    const isRight = await isPasswordOf(hash ?? decoy, login.password)
    if (!hash || !isRight) return fail(login, 'wrong')
    remembered.add(login, hash)
    return 'right'
  }

  const isLimited = (login: Login) =>
    limiter.waitMs(login) > 0 || limiter.userWaitMs(login.user) > 0

  function fail(login: Login, outcome: LoginOutcome): LoginOutcome {
    limiter.failed(login)
    return outcome
  }

  return {
    async check(login) {
      if (limiter.waitMs(login) > 0) return 'limited'
      // What the file says now is not known: the client may come again when it is.
      if (users.isUnreadable()) return 'busy'
      if (login.password.length > passwordBytesMax) return fail(login, 'wrong')
      const hash = users.current().get(login.user)
      if (hash && remembered.has(login, hash)) return 'right'
      // It was compared with what is remembered: that must cost a guess, too.
      if (limiter.userWaitMs(login.user) > 0) return fail(login, 'limited')
      return slots.run(() => compare(login)) ?? 'busy'
    },
    close: () => users.close(),
  }
}

/** Of each user the password that was right last, for as long as its hash holds. */
function createMemory(usersMax: number) {
  const key = randomBytes(32)
  const known = createBoundedMap<string, { readonly hash: PasswordHash; readonly digest: string }>(
    usersMax,
  )
  // A digest under a key that no attacker has tells nothing by the time that comparing it takes.
  const digestOf = (password: Uint8Array, { salt }: PasswordHash) =>
    createHmac('sha256', key).update(salt).update(password).digest('base64')
  return {
    has({ user, password }: Login, hash: PasswordHash): boolean {
      const entry = known.get(user)
      if (!entry || !entry.hash.hash.equals(hash.hash)) return false
      return entry.digest === digestOf(password, hash)
    },
    add({ user, password }: Login, hash: PasswordHash): void {
      known.set(user, { hash, digest: digestOf(password, hash) })
    },
  }
}

function createSlots(runningMax: number, waitingMax: number) {
  const waiting: (() => void)[] = []
  let running = 0

  async function runNow<Result>(task: () => Promise<Result>): Promise<Result> {
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      // The slot goes over to the next, or becomes free.
      if (next) next()
      else running--
    }
  }

  return {
    /** Undefined when too many wait. */
    run<Result>(task: () => Promise<Result>): Promise<Result> | undefined {
      if (running < runningMax) {
        running++
        return runNow(task)
      }
      if (waiting.length >= waitingMax) return undefined
      return new Promise<void>((resolve) => waiting.push(resolve)).then(() => runNow(task))
    },
  }
}
