import { statSync, watch } from 'node:fs'
import type { BigIntStats, FSWatcher } from 'node:fs'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { ruleNameOfFile } from './rule-files.ts'

/**
 * Reports which rules' files changed, by one watch on the folder. The caller reads what changed:
 * several changes may come as one call, and a call may come without a change.
 */
export interface RuleWatcherCallbacks {
  /** The payload or metadata of this rule appeared, changed or disappeared. */
  readonly onRule: (name: string) => void
  /** Any files may have changed. */
  readonly onAll: () => void
}

export interface RuleWatcherDependencies {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

/**
 * An editor may write a file in several steps: it is looked at when it has been still this long.
 */
const stillMs = 100
/** How often to look for a folder that was removed or moved. */
const retryMs = 500
/**
 * How often to look whether the path still leads to the watched folder. The system watches the
 * folder and not its path: it tells nothing when a folder above it is moved, or a link is swapped.
 */
const identityCheckMs = 1_000
/**
 * A folder mounted from a Kubernetes ConfigMap: all its files go through this link, which is
 * swapped.
 */
const mountLink = '..data'

/** @returns a function that stops watching. Changes are seen from the return on. */
export function watchRuleFiles(
  directory: string,
  { onRule, onAll }: RuleWatcherCallbacks,
  { clock, logger }: RuleWatcherDependencies,
): () => void {
  const still = createStillness(clock)
  let watcher: FSWatcher | undefined
  let identity: string | undefined
  let cancelRetry: (() => void) | undefined
  let cancelCheck: (() => void) | undefined
  let isStopped = false

  const seeEvent = (_event: string, file: string | null): void => {
    if (file === null || file === mountLink) return still.await(mountLink, onAll)
    const name = ruleNameOfFile(file)
    // An event of the folder itself carries its name: it was removed, or moved elsewhere.
    if (
      file === path.basename(directory) &&
      (name === undefined || isElsewhere(directory, identity))
    ) {
      return lose('it was removed or moved')
    }
    if (name !== undefined) still.await(name, () => onRule(name))
  }

  const follow = (): void => {
    // Before the watch: if the folder is replaced between the two, the next check finds it.
    identity = identityOf(statSync(directory, { bigint: true }))
    watcher = watch(directory, { persistent: false }, seeEvent)
    watcher.on('error', (cause) => lose(messageOf(cause)))
    checkLater()
  }

  const checkLater = (): void => {
    cancelCheck?.()
    cancelCheck = clock.after(identityCheckMs, () => void check())
  }

  const check = async (): Promise<void> => {
    const watched = watcher
    const now = await stat(directory, { bigint: true }).then(identityOf, () => undefined)
    if (isStopped || watcher !== watched) return
    if (now === identity) return checkLater()
    lose(now === undefined ? 'it was removed or moved' : 'another folder took its place')
  }

  const lose = (reason: string): void => {
    logger.warn({ directory }, `changes of the rules folder are not seen: ${reason}`)
    watcher?.close()
    cancelCheck?.()
    retryLater()
  }

  const retryLater = (): void => {
    cancelRetry?.()
    cancelRetry = clock.after(retryMs, () => {
      try {
        follow()
      } catch {
        return retryLater()
      }
      logger.info({ directory }, 'changes of the rules folder are seen again')
      onAll()
    })
  }

  try {
    follow()
  } catch (thrown) {
    lose(messageOf(thrown))
  }
  return () => {
    isStopped = true
    watcher?.close()
    cancelRetry?.()
    cancelCheck?.()
    still.cancelAll()
  }
}

/** Tells a folder from one that takes its place, also where that gets the number of the old one. */
const identityOf = ({ dev, ino, birthtimeNs }: BigIntStats): string =>
  [dev, ino, birthtimeNs].join(':')

function isElsewhere(directory: string, identity: string | undefined): boolean {
  try {
    return identityOf(statSync(directory, { bigint: true })) !== identity
  } catch {
    return true
  }
}

/** Joins calls that follow each other closely: only the last one is made, after `stillMs`. */
function createStillness(clock: Clock) {
  const pending = new Map<string, () => void>()
  return {
    await(key: string, call: () => void): void {
      pending.get(key)?.()
      const run = (): void => {
        pending.delete(key)
        call()
      }
      pending.set(key, clock.after(stillMs, run))
    },
    cancelAll(): void {
      for (const cancel of pending.values()) cancel()
    },
  }
}
