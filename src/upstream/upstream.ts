import { messageOf } from '../base/errors.ts'
import type { UpstreamConfig } from '../config/upstream-config.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import { readCredentials } from './credentials.ts'
import type { EndCause } from './end-reason.ts'
import { openReading } from './reading.ts'
import type { MessageTakers, Reading, UpstreamOptions } from './reading.ts'
import { reconnectDelayMs, steadyAfterMs } from './reconnect-delay.ts'
import type { UpstreamMemory } from './upstream-memory.ts'
import { createUpstreamReport } from './upstream-report.ts'
import { createUpstreamSubscriptions } from './upstream-subscriptions.ts'

/**
 * A second way in: Sluice as a client of another broker, whose messages run the rules.
 *
 * - There is one connection, so messages come in the order of that broker.
 * - A message is acknowledged there when it is durable here (intake.ts). Until then it waits in the
 *   session that the broker keeps for this client id, also while this engine is away.
 * - A connection that ends is made again, at first after a second, at last each minute.
 * - Nothing is published to that broker.
 */
export interface Upstream {
  /** What does not work, for health. */
  troubles(): readonly UpstreamTrouble[]
  start(): void
  /** Takes no more messages, waits for unfinished ones, and disconnects; the session stays. */
  close(options: { readonly drainMs: number }): Promise<void>
}

type UpstreamTrouble = 'upstreamDisconnected' | 'upstreamFiltersRefused'

export interface UpstreamDependencies extends MessageTakers {
  readonly memory: UpstreamMemory
  readonly logger: Logger
  readonly metrics: Metrics
  /** In [0, 1). Default: chance. */
  readonly random?: (() => number) | undefined
}

/** The broker as metrics and logs name it. */
function brokerNameOf({ host, port }: UpstreamConfig): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

export function createUpstream(
  dependencies: UpstreamDependencies,
  options: UpstreamOptions,
): Upstream {
  const { memory, clock, random = Math.random } = dependencies
  const { config } = options
  const clientId = config.clientId ?? memory.madeClientId
  const name = { config, clientId, broker: brokerNameOf(config) }
  const report = createUpstreamReport(dependencies, name)
  const { logger } = report
  const subscriptions = createUpstreamSubscriptions({ ...dependencies, logger }, name)
  const parts = { ...dependencies, report, subscriptions }
  const closing = new AbortController()
  let reading: Reading | undefined
  let running: Promise<void> = Promise.resolve()

  async function readOnce(): Promise<EndCause> {
    try {
      const credentials = await readCredentials(config)
      if (closing.signal.aborted) return { kind: 'own', reason: 'this engine stops' }
      reading = openReading(parts, { ...options, clientId, credentials })
    } catch (thrown) {
      return { kind: 'own', reason: messageOf(thrown) }
    }
    return reading.ended
  }

  async function run(): Promise<void> {
    let failures = 0
    while (!closing.signal.aborted) {
      const startedMs = clock.monotonicMs()
      const cause = await readOnce()
      if (closing.signal.aborted) return
      failures = clock.monotonicMs() - startedMs >= steadyAfterMs ? 1 : failures + 1
      const delayMs = reconnectDelayMs(failures, random())
      report.ended(cause, delayMs)
      await clock.sleep(delayMs, closing.signal)
    }
  }

  const isReading = () => reading?.isReading() ?? false
  report.readFrom({ isReading, unfinished: () => reading?.unfinished() ?? 0 })
  return {
    troubles: () => [
      ...(isReading() ? [] : ['upstreamDisconnected' as const]),
      ...(subscriptions.refused().length > 0 ? ['upstreamFiltersRefused' as const] : []),
    ],
    start() {
      running = run()
    },
    async close({ drainMs }) {
      closing.abort()
      await reading?.close(drainMs)
      await running
    },
  }
}
