import { randomUUID } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { InvokeOutcome } from './lambda-function.ts'

/**
 * Asynchronous invocations (invocation type `Event`): the caller has been answered. A function that
 * fails is invoked twice more, as Lambda does by default; one that cannot be reached is tried for
 * longer. Events are in memory: a stop drops those that are left, and says how many.
 */
interface EventInvocations {
  /** @returns false when there is no room for the event */
  add(event: InvokedEvent): boolean
  /**
   * Makes the first invocation now. The retries of a function that failed come later.
   *
   * @returns `notInvoked` also when there is no room for the event, or when a stop cut the
   *   invocation short: it may be added again
   */
  begin(event: InvokedEvent): Promise<InvokeOutcome>
  /** Ends the waiting of all events. Running invocations end with their function. */
  stop(): void
}

interface InvokedEvent {
  readonly functionName: string
  readonly sizeBytes: number
  readonly invoke: (signal: AbortSignal) => Promise<InvokeOutcome>
}

const eventLimits = Object.freeze({ eventsMax: 1_000, bytesMax: 64 * 1024 * 1024 })
/** One minute before the second attempt, two before the third. */
const failedDelaysMs = [60_000, 120_000]
const unreachedDelayMs = { first: 1_000, max: 300_000 }
/** Lambda's default of the maximum age of an event: six hours. */
const ageMsMax = 6 * 3_600_000

export function createEventInvocations(
  { clock, logger }: { readonly clock: Clock; readonly logger: Pick<Logger, 'warn' | 'error'> },
  { eventsMax, bytesMax } = eventLimits,
): EventInvocations {
  const stopping = new AbortController()
  let count = 0
  let bytes = 0

  /** @param begun the outcome of the first invocation, when it has been made */
  async function carryOut(event: InvokedEvent, begun?: InvokeOutcome): Promise<void> {
    const { functionName, invoke } = event
    const sinceMs = clock.monotonicMs()
    let failures = 0
    let unreached = 0
    for (let first = begun; ; first = undefined) {
      const outcome = first ?? (await invoke(stopping.signal))
      if (stopping.signal.aborted || outcome.kind === 'returned') return
      const isFailure = outcome.kind === 'failed'
      const delayMs = isFailure ? failedDelaysMs[failures++] : delayOf(unreached++)
      const reason = isFailure ? `${outcome.errorType}: ${outcome.errorMessage}` : outcome.reason
      const isOld = clock.monotonicMs() - sinceMs + (delayMs ?? 0) > ageMsMax
      if (delayMs === undefined || isOld) {
        logger.error({ function: functionName, reason }, 'an asynchronous invocation was given up')
        return
      }
      logger.warn({ function: functionName, reason, delayMs }, 'an asynchronous invocation failed')
      await clock.sleep(delayMs, stopping.signal)
    }
  }

  /** @returns false when there is no room */
  function take({ sizeBytes }: InvokedEvent): boolean {
    if (stopping.signal.aborted) return false
    if (count >= eventsMax || bytes + sizeBytes > bytesMax) return false
    count++
    bytes += sizeBytes
    return true
  }

  function release({ sizeBytes }: InvokedEvent): void {
    count--
    bytes -= sizeBytes
  }

  return {
    add(event) {
      if (!take(event)) return false
      void carryOut(event).finally(() => release(event))
      return true
    },
    async begin(event) {
      if (!take(event)) return notInvoked('too many asynchronous invocations wait')
      const outcome = await event.invoke(stopping.signal)
      if (outcome.kind !== 'failed') {
        release(event)
        return outcome
      }
      if (stopping.signal.aborted) {
        release(event)
        return notInvoked('the engine stops')
      }
      void carryOut(event, outcome).finally(() => release(event))
      return outcome
    },
    stop() {
      if (count > 0)
        logger.warn({ events: count }, 'asynchronous invocations are dropped at a stop')
      stopping.abort()
    },
  }
}

const notInvoked = (reason: string): InvokeOutcome => ({
  kind: 'notInvoked',
  requestId: randomUUID(),
  reason,
})

const delayOf = (attempts: number) =>
  Math.min(unreachedDelayMs.max, unreachedDelayMs.first * 2 ** Math.min(attempts, 16))
