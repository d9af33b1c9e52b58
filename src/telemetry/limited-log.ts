import { createBoundedMap } from '../base/bounded-map.ts'
import type { Clock } from '../base/clock.ts'

type Fields = Readonly<Record<string, unknown>>

/**
 * Lines that a client or a message can cause in numbers: a few for each key in each interval, then
 * silence, and the next line says how many were left out.
 */
export interface LimitedLog {
  /** At most `linesMax` lines for each key in an interval. @returns whether one was written */
  warn(key: string, fields: Fields, text: string): boolean
  error(key: string, fields: Fields, text: string): boolean
  /** One line for each key in an interval. @returns whether it was written */
  warnOnce(key: string, fields: Fields, text: string): boolean
}

/** What of a logger it needs. */
export interface WarningLog {
  warn(fields: Fields, text: string): void
  error(fields: Fields, text: string): void
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
