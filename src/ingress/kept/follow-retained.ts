import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { removalKeptSeconds } from '../../cluster/state/last-values.ts'
import type { LastValues } from '../../cluster/state/last-values.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { RetainedMessage } from './retained-messages.ts'
import type { createSharedTopics } from './shared-topics.ts'

interface FollowRetainedDependencies {
  readonly values: Pick<LastValues, 'watch'>
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn'>
  readonly log: Pick<LimitedLog, 'error'>
  readonly topics: Pick<ReturnType<typeof createSharedTopics>, 'told' | 'present' | 'topicOf'>
  /** @throws SluiceError: the value is none of this release */
  readonly decode: (value: Buffer) => RetainedMessage
}

/** Half of the time for which removals are told. */
const missedMsMax = (removalKeptSeconds * 1_000) / 2

/**
 * Follows the store: tells what it holds, and each change.
 *
 * A value that cannot be used is left out and logged: a newer release may have written it.
 */
export function followRetained(dependencies: FollowRetainedDependencies) {
  const { values, clock, logger, log, topics, decode } = dependencies
  /** Keys by which removals are told, since a long topic is not in its key. */
  const topicOf = new Map<string, string>()
  /** What the watch has told since it began; undefined once it has told everything. */
  let begun: Set<string> | undefined
  let lost: { readonly reason: string; readonly sinceMs: number } | undefined
  let present: (() => void) | undefined
  const isPresent = new Promise<void>((resolve) => (present = resolve))
  let stop: (() => void) | undefined

  function removed(key: string, revision: number): void {
    const topic = topicOf.get(key) ?? topics.topicOf(key)
    if (topic === undefined) return
    topicOf.delete(key)
    begun?.delete(topic)
    topics.told(topic, undefined, revision)
  }
  function watch(): void {
    stop = values.watch({
      begin() {
        begun = new Set()
      },
      entry({ key, value, revision }) {
        try {
          const message = decode(value)
          topicOf.set(key, message.topic)
          begun?.add(message.topic)
          topics.told(message.topic, message, revision)
        } catch (thrown) {
          const text = 'a retained message of the cluster cannot be used, and is left out'
          log.error('retained_unusable', { key, problem: messageOf(thrown) }, text)
        }
      },
      deleted: removed,
      present(revision) {
        if (begun) {
          for (const [key, topic] of topicOf) if (!begun.has(topic)) topicOf.delete(key)
          topics.present(begun, revision)
        }
        begun = undefined
        present?.()
      },
      lost(reason) {
        if (lost === undefined) {
          logger.warn({ reason }, 'retained messages of the cluster cannot be changed now')
        }
        lost = { reason, sinceMs: lost?.sinceMs ?? clock.monotonicMs() }
      },
      found() {
        const wasLost = lost
        lost = undefined
        if (wasLost === undefined) return
        logger.info('retained messages of the cluster can be changed again')
        if (clock.monotonicMs() - wasLost.sinceMs < missedMsMax) return
        stop?.()
        watch()
      },
    })
  }
  watch()

  return {
    /** Resolves when everything has been told. */
    isPresent,
    lostReason: () => lost?.reason,
    stop: () => stop?.(),
  }
}
