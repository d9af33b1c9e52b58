import type { Clock } from '../clock.ts'
import type { Logger } from '../telemetry.ts'

/**
 * Warnings that a misbehaving client can cause in numbers: a few lines for each key in each
 * interval, then silence, and the next line says how many were left out.
 */
export interface LimitedLog {
  /** @param key what is limited together: a reason, or a reason and an address */
  warn(key: string, fields: Readonly<Record<string, unknown>>, text: string): void
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

  return {
    warn(key, fields, text) {
      const window = windowOf(key, deps.clock.nowMs())
      if (window.lines >= options.linesMax) {
        window.suppressed++
        return
      }
      window.lines++
      const { suppressed } = window
      window.suppressed = 0
      deps.logger.warn(suppressed === 0 ? fields : { ...fields, suppressed }, text)
    },
  }
}
