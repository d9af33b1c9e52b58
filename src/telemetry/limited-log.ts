import { createBoundedMap } from '../base/bounded-map.ts'
import type { Clock } from '../base/clock.ts'

type Fields = Readonly<Record<string, unknown>>

/**
 * Limits log lines that clients or messages can cause in great numbers. Each key gets a few lines
 * per interval, and the next line tells how many were suppressed.
 */
export interface LimitedLog {
  /** Writes at most `linesMax` lines per key and interval. @returns whether it wrote this one */
  warn(key: string, fields: Fields, text: string): boolean
  error(key: string, fields: Fields, text: string): boolean
  /** Writes one line per key and interval. @returns whether it wrote this one */
  warnOnce(key: string, fields: Fields, text: string): boolean
}

/** The part of a logger that this file needs. */
export interface WarningLog {
  warn(fields: Fields, text: string): void
  error(fields: Fields, text: string): void
}

/** The part of a logger that tells of connections, too, without the types of its package. */
export interface NoticeLog extends WarningLog {
  info(fields: Fields, text: string): void
}

const keysMax = 1_000
const oncePerMinute = { linesMax: 1, intervalMs: 60_000 }

export function createLimitedLog(
  dependencies: { readonly logger: WarningLog; readonly clock: Clock },
  options: { readonly linesMax: number; readonly intervalMs: number } = oncePerMinute,
): LimitedLog {
  const windows = createBoundedMap<string, { endsAtMs: number; lines: number; suppressed: number }>(
    keysMax,
  )

  function windowOf(key: string, nowMs: number) {
    const known = windows.get(key)
    if (known !== undefined && nowMs < known.endsAtMs) return known
    const window = {
      endsAtMs: nowMs + options.intervalMs,
      lines: 0,
      suppressed: known?.suppressed ?? 0,
    }
    windows.set(key, window)
    return window
  }

  function write(
    level: 'warn' | 'error',
    linesMax: number,
    key: string,
    fields: Fields,
    text: string,
  ): boolean {
    const window = windowOf(key, dependencies.clock.monotonicMs())
    if (window.lines >= linesMax) {
      window.suppressed++
      return false
    }
    const { suppressed } = window
    window.lines++
    window.suppressed = 0
    dependencies.logger[level](suppressed === 0 ? fields : { ...fields, suppressed }, text)
    return true
  }

  return {
    warn: (key, fields, text) => write('warn', options.linesMax, key, fields, text),
    error: (key, fields, text) => write('error', options.linesMax, key, fields, text),
    warnOnce: (key, fields, text) => write('warn', 1, key, fields, text),
  }
}
