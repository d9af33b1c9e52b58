import { watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { ruleNameOfFile } from './rule-files.ts'

/**
 * Reports which rules' files changed, by one watch on the folder. The caller reads what changed:
 * several changes may come as one call, and a call may come without a change.
 */
interface RuleWatcherCallbacks {
  /** The payload or metadata of this rule appeared, changed or disappeared. */
  readonly onRule: (name: string) => void
  /** Any files may have changed. */
  readonly onAll: () => void
}

interface RuleWatcherDependencies {
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
  let cancelRetry: (() => void) | undefined

  const seeEvent = (_event: string, file: string | null): void => {
    if (file === null || file === mountLink) return still.await(mountLink, onAll)
    // An event of the folder itself carries its name: it was removed, or moved elsewhere.
    if (file === path.basename(directory)) return lose('it was removed or moved')
    const name = ruleNameOfFile(file)
    if (name !== undefined) still.await(name, () => onRule(name))
  }

  const follow = (): void => {
    watcher = watch(directory, { persistent: false }, seeEvent)
    watcher.on('error', (cause) => lose(messageOf(cause)))
  }

  const lose = (reason: string): void => {
    logger.warn({ directory }, `changes of the rules folder are not seen: ${reason}`)
    watcher?.close()
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
    watcher?.close()
    cancelRetry?.()
    still.cancelAll()
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
