import type { Clock } from '../base/clock.ts'
import type { LogLevel, LogLevels, Logger } from './logger.ts'

/** The level of the log, which may hold for a while only. */
export interface TimedLogLevel {
  current(): LogLevelNow
  /**
   * @param forMs how long it holds; then the level of the configuration returns. Absent: until the
   *   process ends, or until the next call
   * @returns the level before
   */
  set(level: LogLevel, forMs?: number): LogLevel
  close(): void
}

interface LogLevelNow {
  readonly level: LogLevel
  /** Epoch milliseconds; absent: it holds until somebody changes it. */
  readonly untilMs?: number | undefined
}

/** @param levels of the log of this process, with the level of the configuration */
export function createTimedLogLevel({
  levels,
  logger,
  clock,
}: {
  readonly levels: LogLevels
  readonly logger: Pick<Logger, 'warn'>
  readonly clock: Clock
}): TimedLogLevel {
  const configured = levels.current()
  let untilMs: number | undefined
  let cancel: (() => void) | undefined

  function change(level: LogLevel): void {
    const before = levels.current()
    if (level === before) return
    // Before the change, because the new level may leave this line out.
    logger.warn({ before, level, untilMs }, 'the log level changes')
    levels.set(level)
  }

  function end(): void {
    cancel?.()
    cancel = undefined
    untilMs = undefined
  }

  return {
    current: () => ({ level: levels.current(), untilMs }),
    set(level, forMs) {
      end()
      const before = levels.current()
      if (forMs !== undefined) {
        untilMs = clock.wallMs() + forMs
        cancel = clock.after(forMs, () => {
          end()
          change(configured)
        })
      }
      change(level)
      return before
    },
    close: end,
  }
}

/** The levels of a logger that has none to change, such as one of a test. */
export function createLogLevels(level: LogLevel): LogLevels {
  let now = level
  return {
    current: () => now,
    set(next) {
      now = next
    },
  }
}
