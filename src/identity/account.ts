import type { Clock } from '../base/clock.ts'
import { invalidRequest, messageOf } from '../base/errors.ts'
import type { Logger } from '../telemetry/logger.ts'
import { unlessAborted } from '../base/unless-aborted.ts'
import { invalidFile, readSecretFile, writeSecretFile } from '../storage/secret-file.ts'

/**
 * The AWS account of the engine's resources: twelve digits in ARNs, which policies name.
 * The id is taken from the first of these sources that has one:
 *
 *   1. `fixed`: the configuration; STS is not called then
 *   2. `ask`: STS, called at once, and again until it answers
 *   3. the file, mode 600, `{"accountId": "..."}`: the last answer of STS, of any run
 *
 * Invariants:
 * - There is no placeholder: an unknown account is undefined. Work that depends on it waits
 *   (`settled`), and policies that depend on it only deny (policy.ts).
 * - Only the process that holds the lock of the data folder writes the file.
 */
export interface Account {
  /** Undefined while the account is not known. */
  id(): string | undefined
  /** Resolves once the account is known; never when it stays unknown. */
  readonly known: Promise<void>
  /**
   * Waits for the first answer of STS; then, while the account is not known, as long as it is
   * needed.
   *
   * @param options.isNeeded called repeatedly, because the need for the account may end
   * @param options.onWait called once, when waiting begins
   * @returns rejects with an AbortError when the signal aborts
   */
  settled(options: {
    readonly isNeeded: () => boolean
    readonly onWait: () => void
    readonly signal: AbortSignal
  }): Promise<void>
  /** Stops calling STS. */
  close(): void
}

interface AccountDependencies {
  /** Asks STS for the account of the caller (`GetCallerIdentity`). */
  readonly ask: () => Promise<string>
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  /** A number from 0 (inclusive) to 1 (exclusive). Default: `Math.random`. */
  readonly random?: (() => number) | undefined
}

interface AccountOptions {
  /** The file that stores the last answer of STS. */
  readonly file: string
  readonly fixed?: string | undefined
}

export const accountFileName = 'account.json'
const accountForm = /^\d{12}$/
/** For one call, including the SDK's search for credentials. */
const askTimeoutMs = 20_000
/** The delay doubles with each failure from `first` to `max`, with jitter in its upper half. */
const askDelayMs = { first: 1_000, max: 30_000 }
const neededIntervalMs = 1_000

/** Never rejects: an invalid file is logged, and ignored. */
export async function openAccount(
  dependencies: AccountDependencies,
  { file, fixed }: AccountOptions,
): Promise<Account> {
  if (fixed !== undefined) return fixedAccount(fixed)
  const { clock, logger } = dependencies
  const remembered = await recall(file, logger)
  const closing = new AbortController()
  let known: string | undefined
  const becameKnown = createSignal()

  async function tell(answer: string): Promise<void> {
    const before = known ?? remembered
    known = answer
    becameKnown.set()
    if (before === answer) return
    if (before !== undefined) {
      logger.warn({ accountId: answer, before }, 'STS returned another account than before')
    }
    await keep(file, answer, logger)
  }

  let reported: string | undefined
  function report(thrown: unknown): void {
    known ??= remembered
    if (known !== undefined) becameKnown.set()
    const reason = messageOf(thrown)
    if (reason === reported) return
    reported = reason
    logger.warn(
      { reason, accountId: known },
      known === undefined
        ? 'STS does not return the account; it is called again, or set SLUICE_ACCOUNT_ID'
        : 'STS does not return the account; it is called again, and the last known account is used',
    )
  }

  /** @returns whether STS answered */
  async function askOnce(): Promise<boolean> {
    try {
      await tell(checked(await withinTime(dependencies, closing.signal)))
      return true
    } catch (thrown) {
      if (!closing.signal.aborted) report(thrown)
      return false
    }
  }

  const first = askOnce()
  async function askAgain(): Promise<void> {
    const { random = Math.random } = dependencies
    let isAnswered = await first
    for (let delayMs = askDelayMs.first; !isAnswered && !closing.signal.aborted;) {
      await clock.sleep(delayMs * (0.5 + random() / 2), closing.signal)
      delayMs = Math.min(2 * delayMs, askDelayMs.max)
      if (closing.signal.aborted) return
      isAnswered = await askOnce()
      if (isAnswered) logger.info({ accountId: known }, 'STS returned the account')
    }
  }
  void askAgain()

  return {
    id: () => known,
    known: becameKnown.done,
    async settled({ isNeeded, onWait, signal }) {
      await unlessAborted(first, signal)
      const isOpen = () => known === undefined && isNeeded()
      if (isOpen()) onWait()
      while (isOpen()) {
        await unlessAborted(clock.sleep(neededIntervalMs, signal), signal)
      }
    },
    close: () => closing.abort(),
  }
}

function createSignal() {
  let set: (() => void) | undefined
  const done = new Promise<void>((resolve) => {
    set = resolve
  })
  return { done, set: () => set?.() }
}

function fixedAccount(accountId: string): Account {
  return {
    id: () => accountId,
    known: Promise.resolve(),
    settled: () => Promise.resolve(),
    close: () => {},
  }
}

async function withinTime(
  { ask, clock }: AccountDependencies,
  closing: AbortSignal,
): Promise<string> {
  const late = new AbortController()
  const cancel = clock.after(askTimeoutMs, () => late.abort())
  try {
    return await unlessAborted(ask(), AbortSignal.any([late.signal, closing]))
  } catch (thrown) {
    if (late.signal.aborted) {
      throw new Error(`no answer within ${askTimeoutMs / 1_000} s`, { cause: thrown })
    }
    throw thrown
  } finally {
    cancel()
  }
}

async function keep(
  file: string,
  accountId: string,
  logger: AccountDependencies['logger'],
): Promise<void> {
  try {
    await writeSecretFile(file, `${JSON.stringify({ accountId })}\n`)
  } catch (thrown) {
    const text = 'the account cannot be stored for the next start'
    logger.error({ file, problem: messageOf(thrown) }, text)
  }
}

async function recall(
  file: string,
  logger: AccountDependencies['logger'],
): Promise<string | undefined> {
  try {
    const content = await readSecretFile(file)
    return content && parseAccount(file, content.text)
  } catch (thrown) {
    const text = 'the stored account cannot be read; only STS can provide it now'
    logger.error({ file, problem: messageOf(thrown) }, text)
    return undefined
  }
}

function parseAccount(file: string, text: string): string {
  try {
    const document: unknown = JSON.parse(text)
    if (typeof document === 'object' && document !== null && 'accountId' in document) {
      return checked(document.accountId)
    }
    throw invalidRequest('must be {"accountId": "..."}')
  } catch (thrown) {
    throw invalidFile(file, messageOf(thrown), thrown)
  }
}

function checked(accountId: unknown): string {
  if (typeof accountId === 'string' && accountForm.test(accountId)) return accountId
  throw invalidRequest(`${JSON.stringify(accountId)} is not an account: it has 12 digits`)
}
