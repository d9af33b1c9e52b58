import type { Clock } from '../base/clock.ts'
import { SluiceError } from '../base/errors.ts'
import type { UpstreamConfig } from '../config/upstream-config.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { findGroupFault } from '../topics/shared-filter.ts'
import { findTopicFilterFault } from '../topics/topic-filter.ts'
import { subscriptionRefusal } from './end-reason.ts'
import { filtersPerSubscribeMax } from './upstream-connection.ts'
import type { OpenedSession, UpstreamConnection } from './upstream-connection.ts'
import type { UpstreamMemory } from './upstream-memory.ts'

/**
 * The subscriptions of the session at the upstream broker.
 *
 * A session keeps its subscriptions. So it is subscribed when it is new, or when this process has
 * not done it yet, and unsubscribed from filters of earlier configurations. A refused filter is
 * asked for again once a minute: a policy may change.
 */
export interface UpstreamSubscriptions {
  /** @throws an Error (rejects) when the connection ends before the answers */
  begin(connection: UpstreamConnection, session: OpenedSession): Promise<void>
  /** The connection has ended. */
  ended(): void
  /** Filters that the broker does not grant. */
  refused(): readonly string[]
}

const retryRefusedMs = 60_000
/** What MQTT allows [MQTT-4.7.3-3]; the broker may allow less. */
const mqttLimits = { topicBytesMax: 65_535, topicSlashesMax: Infinity }

/** @throws SluiceError ConfigInvalid: a filter, or the name of the group, is none */
export function checkUpstreamFilters({
  filters,
  shareGroup,
}: Pick<UpstreamConfig, 'filters' | 'shareGroup'>): void {
  for (const filter of filters) {
    const isShared = filter.startsWith('$share/')
    const problem = isShared
      ? 'the group of a shared subscription is set by SLUICE_UPSTREAM_SHARE_GROUP'
      : findTopicFilterFault(filter, mqttLimits)?.problem
    if (problem !== undefined) throw invalid('FILTERS', filter, problem)
  }
  if (shareGroup === undefined) return
  const isPath = shareGroup.includes('/')
  const fault = isPath ? 'the name of a group has no slash' : findGroupFault(shareGroup)
  if (fault !== undefined) throw invalid('SHARE_GROUP', shareGroup, fault)
}

const invalid = (name: string, value: string, problem: string): SluiceError =>
  new SluiceError('ConfigInvalid', `SLUICE_UPSTREAM_${name}: ${JSON.stringify(value)}: ${problem}`)

function tellLost(
  logger: Logger,
  { sessionExpirySeconds }: Pick<UpstreamConfig, 'sessionExpirySeconds'>,
): void {
  if (sessionExpirySeconds === 0) return
  const text =
    'the upstream broker has not kept the session: what was published while this engine was away ' +
    'is lost'
  logger.warn({ sessionExpirySeconds }, text)
}

export function createUpstreamSubscriptions(
  {
    memory,
    logger,
    clock,
  }: { readonly memory: UpstreamMemory; readonly logger: Logger; readonly clock: Clock },
  {
    config,
    clientId,
    broker,
  }: { readonly config: UpstreamConfig; readonly clientId: string; readonly broker: string },
): UpstreamSubscriptions {
  const prefix = config.shareGroup === undefined ? '' : `$share/${config.shareGroup}/`
  const wanted = config.filters.map((filter) => prefix + filter)
  const name = { clientId, broker }
  let isSubscribed = false
  let refused: readonly string[] = []
  let cancelRetry: (() => void) | undefined

  async function subscribe(
    connection: UpstreamConnection,
    filters: readonly string[],
  ): Promise<void> {
    const before = new Set(refused)
    const found: string[] = []
    for (let at = 0; at < filters.length; at += filtersPerSubscribeMax) {
      const some = filters.slice(at, at + filtersPerSubscribeMax)
      const codes = await connection.subscribe(some)
      for (const [index, filter] of some.entries()) {
        const code = codes[index] ?? 0x80
        if (code >= 0x80) found.push(filter)
        // It is asked for again and again, and told of once.
        if (!before.has(filter)) tell(filter, code)
      }
    }
    refused = found
    if (refused.length === 0) return
    cancelRetry = clock.after(retryRefusedMs, () => void retry(connection))
  }

  async function retry(connection: UpstreamConnection): Promise<void> {
    // Where the connection ends before the answer, the next one subscribes.
    await subscribe(connection, refused).catch(() => undefined)
  }

  function tell(filter: string, code: number): void {
    if (code >= 0x80) {
      const reason = subscriptionRefusal(code)
      const text = `the upstream broker refuses the subscription to ${filter}: ${reason}`
      logger.error({ filter, code }, text)
    } else if (code === 0) {
      const text = 'the upstream broker grants QoS 0 only: messages that are under way can be lost'
      logger.warn({ filter }, text)
    }
  }

  return {
    async begin(connection, { isPresent }) {
      const noted = memory.filtersOf(name)
      if (!isPresent && noted.length > 0) tellLost(logger, config)
      // Until all answers have come, a new session may be subscribed to some of the filters only.
      if (!isPresent) isSubscribed = false
      const known = isPresent ? noted : []
      const left = known.filter((filter) => !wanted.includes(filter))
      if (isSubscribed && refused.length === 0 && left.length === 0) return
      // Noted before it is done, so that none is forgotten when this process ends in between.
      await memory.note(name, [...wanted, ...left])
      await subscribe(connection, isSubscribed ? refused : wanted)
      isSubscribed = true
      if (left.length > 0) await connection.unsubscribe(left)
      await memory.note(name, wanted)
    },
    ended: () => cancelRetry?.(),
    refused: () => refused,
  }
}
