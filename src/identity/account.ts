import type { Clock } from '../base/clock.ts'
import { invalidRequest, messageOf } from '../base/errors.ts'
import type { Logger } from '../telemetry/logger.ts'
import { unlessAborted } from '../base/unless-aborted.ts'
import { invalidFile, readSecretFile, writeSecretFile } from '../storage/secret-file.ts'

/**
 * The AWS account of the engine's resources: twelve digits in ARNs, which policies name.
 * The first of these that is there says which it is:
 *
 *   1. `fixed`: what the configuration sets; nobody is asked then
 *   2. `ask`: STS. It is asked at once, and again until it has answered
 *   3. the file, mode 600, `{"accountId": "..."}`: what STS answered last, at any run
 *
 * Invariants:
 * - There is no stand-in: an account that is not known is undefined, and what depends on it waits
 *   (`settled`) or counts as far as it forbids (policy.ts).
 * - The file is written by the process that holds the lock of the data folder, and by no other.
 */
export interface Account {
  /** Undefined while nobody has said which it is. */
  id(): string | undefined
  /**
   * Waits for the first answer; then, while the account is not known, for as long as it is needed.
   *
   * @param options.isNeeded asked now and again: what needed the account may have changed
   * @param options.onWait told once, when there is something to wait for
   * @returns rejects with an AbortError when the signal aborts
   */
  settled(options: {
    readonly isNeeded: () => boolean
    readonly onWait: () => void
    readonly signal: AbortSignal
  }): Promise<void>
  /** Nobody is asked any more. */
  close(): void
}

interface AccountDependencies {
  /** The account of the caller, as STS says (`GetCallerIdentity`). */
  readonly ask: () => Promise<string>
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  /** From 0 up to, and not, 1. Default: `Math.random`. */
  readonly random?: (() => number) | undefined
}

interface AccountOptions {
  /** Where the account that STS named last is kept. */
  readonly file: string
  readonly fixed?: string | undefined
}

export const accountFileName = 'account.json'
const accountForm = /^\d{12}$/
/** Of one question: also the SDK's search for credentials must come to an end. */
const askTimeoutMs = 20_000
/** Doubled with each failure up to the second, and drawn from the upper half of that. */
const askDelayMs = { first: 1_000, max: 30_000 }
const neededIntervalMs = 1_000

/** Never rejects: a file that cannot be used is logged, and counts as unknown. */
export async function openAccount(
  dependencies: AccountDependencies,
  { file, fixed }: AccountOptions,
): Promise<Account> {
  if (fixed !== undefined) return fixedAccount(fixed)
  const { clock, logger } = dependencies
  const remembered = await recall(file, logger)
  const closing = new AbortController()
  let known: string | undefined

  async function tell(answer: string): Promise<void> {
    const before = known ?? remembered
    known = answer
    if (before === answer) return
    if (before !== undefined) {
      logger.warn({ accountId: answer, before }, 'STS names another account than before')
    }
    await keep(file, answer, logger)
  }

  let reported: string | undefined
  function report(thrown: unknown): void {
    known ??= remembered
    const reason = messageOf(thrown)
    if (reason === reported) return
    reported = reason
    logger.warn(
      { reason, accountId: known },
      known === undefined
        ? 'STS does not say which account this is: it is asked again; or set SLUICE_ACCOUNT_ID'
        : 'STS does not say which account this is: it is asked again; the last known one holds',
    )
  }

  /** @returns whether it was answered */
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
      if (isAnswered) logger.info({ accountId: known }, 'STS says which account this is')
    }
  }
  void askAgain()

  return {
    id: () => known,
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

function fixedAccount(accountId: string): Account {
  return { id: () => accountId, settled: () => Promise.resolve(), close: () => {} }
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
    const text = 'the account cannot be kept for the next start'
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
    const text = 'the account of the last start cannot be read; STS has to say which it is'
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
