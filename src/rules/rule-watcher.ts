import path from 'node:path'
import { watch } from 'chokidar'
import type { Logger } from '../telemetry.ts'
import { ruleNameOfFile } from './rule-files.ts'

/** An editor may write a file in several steps: it is looked at when it has been still this long. */
const stillMs = 100
const pollMs = 25

/**
 * Calls `onChange` with the name of a rule whose payload or metadata appeared, changed or went.
 * What changed is for the caller to read: several changes may come as one call.
 *
 * @returns once changes are seen; the function ends the watching
 */
export async function watchRuleFiles(
  directory: string,
  onChange: (ruleName: string) => void,
  logger: Pick<Logger, 'warn'>,
): Promise<() => Promise<void>> {
  const watcher = watch(directory, {
    depth: 0,
    ignoreInitial: true,
    awaitWriteFinish: { stabilityThreshold: stillMs, pollInterval: pollMs },
    ignored: (file) => file !== directory && ruleNameOfFile(path.basename(file)) === undefined,
  })
  watcher.on('all', (_event, file) => {
    const name = ruleNameOfFile(path.basename(file))
    if (name !== undefined) onChange(name)
  })
  watcher.on('error', (cause) =>
    logger.warn({ err: cause, directory }, 'a change of the rules folder may have been missed'),
  )
  await new Promise<void>((resolve) => watcher.once('ready', resolve))
  return () => watcher.close()
}
