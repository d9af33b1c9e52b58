import { watch } from 'node:fs'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../telemetry.ts'
import { ruleNameOfFile } from './rule-files.ts'

/**
 * Tells which rules' files changed, by one watch on the folder. What changed is for the caller to
 * read: several changes may come as one call, and a call may come without any.
 */
export interface RuleWatcherCallbacks {
  /** A payload or metadata of this rule appeared, changed or went. */
  readonly onRule: (name: string) => void
  /** Files changed, and it is not known which. */
  readonly onAll: () => void
}

export interface RuleWatcherDependencies {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'warn'>
}

/** An editor may write a file in several steps: it is looked at when it has been still this long. */
const stillMs = 100
/** A folder mounted from a Kubernetes ConfigMap: all its files go through this link, which is swapped. */
const mountLink = '..data'

/** @returns once changes are seen; the function ends the watching */
export function watchRuleFiles(
  directory: string,
  { onRule, onAll }: RuleWatcherCallbacks,
  { clock, logger }: RuleWatcherDependencies,
): () => void {
  const pending = new Map<string, () => void>()
  const onceStill = (key: string, call: () => void): void => {
    pending.get(key)?.()
    const run = (): void => {
      pending.delete(key)
      call()
    }
    pending.set(key, clock.after(stillMs, run))
  }

  const watcher = watch(directory, { persistent: false }, (_event, file) => {
    if (file === null || file === mountLink) return onceStill(mountLink, onAll)
    const name = ruleNameOfFile(file)
    if (name !== undefined) onceStill(name, () => onRule(name))
  })
  watcher.on('error', (cause) =>
    logger.warn(
      { err: cause, directory },
      `changes of the rules folder are not seen any more: ${messageOf(cause)}`,
    ),
  )

  return () => {
    watcher.close()
    for (const cancel of pending.values()) cancel()
  }
}
