import { format } from 'node:util'
import type { Logger } from './logger.ts'

/**
 * Turns what packages print to the console into lines of the log. LMDB's package prints each error
 * of a commit with its stack, which would stand between the JSON of the log where both outputs of
 * the process go to one place.
 *
 * @param target the console of the thread
 */
export function logConsole(
  logger: Pick<Logger, 'warn'>,
  target: Pick<Console, 'error' | 'warn'> = console,
): void {
  const log = (...given: readonly unknown[]) =>
    logger.warn({ text: format(...given) }, 'a package printed to the console')
  Object.assign(target, { error: log, warn: log })
}
