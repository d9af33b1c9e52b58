import type { Clock } from '../../base/clock.ts'

/**
 * Keeps room in the stream for progress: without it nobody could settle, and a full stream would
 * stay full. `max_bytes` of the stream stands this far above what chunks may take.
 */
export const reserveBytes = 64 * 1_024 * 1_024

/** Room for chunks. Several nodes overshoot by what they append within `staleMs`. */
interface LogRoom {
  /** @returns whether there is room for so many bytes; they are counted then */
  take(bytes: number): Promise<boolean>
}

const staleMs = 500

/**
 * @param bytesInStream asks for the bytes of the stream; undefined when nobody answers, and then
 *   the server decides
 * @param bytesMax that chunks may take
 */
export function createLogRoom(
  { clock, bytesInStream }: { clock: Clock; bytesInStream: () => Promise<number | undefined> },
  bytesMax: number,
): LogRoom {
  let known = 0
  let since = 0
  let askedAtMs = Number.NEGATIVE_INFINITY
  let asking: Promise<void> | undefined

  function ask(): Promise<void> {
    asking ??= refresh().finally(() => {
      asking = undefined
    })
    return asking
  }

  async function refresh(): Promise<void> {
    const before = since
    const bytes = await bytesInStream()
    askedAtMs = clock.monotonicMs()
    // What was taken meanwhile may not be counted yet.
    since -= before
    known = bytes ?? 0
  }

  return {
    async take(bytes) {
      const isStale = clock.monotonicMs() - askedAtMs > staleMs
      const fits = () => known + since + bytes <= bytesMax
      if (!fits()) await ask()
      else if (isStale) void ask()
      if (!fits()) return false
      since += bytes
      return true
    },
  }
}
