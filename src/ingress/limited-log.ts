import type { Clock } from '../clock.ts'
import type { Logger } from '../telemetry.ts'

/**
 * Warnings that a misbehaving client can cause in numbers: a few lines for each key in each
 * interval, then silence, and the next line says how many were left out.
 */
export interface LimitedLog {
  /** At most `linesMax` lines for each reason in an interval. */
  warn(reason: string, fields: Readonly<Record<string, unknown>>, text: string): void
  /** One line for each key in an interval. */
  warnOnce(key: string, fields: Readonly<Record<string, unknown>>, text: string): void
}

const keysMax = 1_000

export function createLimitedLog(
  deps: { readonly logger: Logger; readonly clock: Clock },
  options: { readonly linesMax: number; readonly intervalMs: number },
): LimitedLog {
  const windows = new Map<string, { endsAtMs: number; lines: number; suppressed: number }>()

  function windowOf(key: string, nowMs: number) {
    const known = windows.get(key)
    if (known !== undefined && nowMs < known.endsAtMs) return known
    const window = {
      endsAtMs: nowMs + options.intervalMs,
      lines: 0,
      suppressed: known?.suppressed ?? 0,
    }
    windows.delete(key)
    windows.set(key, window)
    for (const oldest of windows.keys()) {
      if (windows.size <= keysMax) break
      windows.delete(oldest)
    }
    return window
  }

  function write(
    key: string,
    linesMax: number,
    fields: Readonly<Record<string, unknown>>,
    text: string,
  ): void {
    const window = windowOf(key, deps.clock.nowMs())
    if (window.lines >= linesMax) {
      window.suppressed++
      return
    }
    const { suppressed } = window
    window.lines++
    window.suppressed = 0
    deps.logger.warn(suppressed === 0 ? fields : { ...fields, suppressed }, text)
  }

  return {
    warn: (reason, fields, text) => write(reason, options.linesMax, fields, text),
    warnOnce: (key, fields, text) => write(key, 1, fields, text),
  }
}
