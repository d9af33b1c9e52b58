import type { Clock } from '../../base/clock.ts'

/**
 * Keeps room in the stream for progress: without it nobody could settle, and a full stream would
 * stay full. `max_bytes` of the stream stands this far above what chunks and dead letters may take.
 */
export const reserveBytes = 64 * 1_024 * 1_024
/** Dead letters have a bound of their own, which they overshoot for some seconds. */
export const deadLetterReserveBytes = 256 * 1_024 * 1_024

/** Room for chunks. Several nodes overshoot by what they append within `staleMs`. */
interface LogRoom {
  /** @returns whether there is room for so many bytes; they are counted then */
  take(bytes: number): Promise<boolean>
}

const staleMs = 500

/**
 * @param bytesInStream asks for the bytes of the stream; undefined when nobody answers, and then
 *   the server decides
 * @param deadLetterBytes of them, those of dead letters
 * @param bytesMax that chunks may take
 */
export function createLogRoom(
  {
    clock,
    bytesInStream,
    deadLetterBytes = () => 0,
  }: {
    readonly clock: Clock
    readonly bytesInStream: () => Promise<number | undefined>
    readonly deadLetterBytes?: () => number
  },
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
    known = Math.max(0, (bytes ?? 0) - deadLetterBytes())
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
