import type { Aedes, Client } from 'aedes'
import type { Clock } from '../base/clock.ts'
import type { LimitedLog } from '../telemetry/limited-log.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import type { Connections } from './broker/connections.ts'
import type { DelayedWills } from './broker/delayed-wills.ts'
import { createKeeping } from './kept/keeping.ts'
import { encodeSession } from './kept/kept-rows.ts'
import type { KeptStore } from './kept/kept-store.ts'
import { createPersistence } from './kept/persistence.ts'
import { restoreKept } from './kept/restore-kept.ts'
import { createRetainedMessages } from './kept/retained-messages.ts'
import type { RetainedMessages } from './kept/retained-messages.ts'
import { createSessions } from './kept/sessions.ts'
import type { Sessions } from './kept/sessions.ts'
import { createSubscriberQueues } from './kept/subscriber-queues.ts'
import type { SubscriberQueues } from './kept/subscriber-queues.ts'
import type { SharedRetained } from './kept/shared-retained.ts'
import { createSharedSubscriptions } from './sharing/shared-subscriptions.ts'
import type { SharedSubscriptions } from './sharing/shared-subscriptions.ts'

/** Its declared type leaves out the number of the last message. */
interface CountingAedes extends Aedes {
  counter: number
}
import { createSessionSubscriptions } from './kept/subscriptions.ts'
import type { SessionSubscriptions } from './kept/subscriptions.ts'

import type { RelayInterest } from './relay/relay.ts'

interface MemoryDependencies {
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: LimitedLog
  readonly connections: Connections
  readonly wills: DelayedWills
  /** Where what is stored outlives the process. Absent: it is in memory alone. */
  readonly kept?: KeptStore | undefined
  /** Retained messages that all nodes of a cluster share. Absent: this engine has its own. */
  readonly retained?: SharedRetained | undefined
  /** Is told which filters the sessions have. Absent: there are no other nodes. */
  readonly interest?: RelayInterest | undefined
}

type MemoryOptions = Parameters<typeof createSessionSubscriptions>[0] &
  Parameters<typeof createRetainedMessages>[1] &
  Parameters<typeof createSubscriberQueues>[0] &
  Parameters<typeof createSessions>[1]

type NotKeptReason = 'retained_full' | 'retained_unreachable' | 'queue_full'

/**
 * What the broker stores beyond a connection, each part with its bound. Memory is what is read; it
 * is filled from the disk at the start.
 */
export function createMemory(dependencies: MemoryDependencies, options: MemoryOptions) {
  const { clock, metrics, connections, wills, kept } = dependencies
  const { retained: ofCluster } = dependencies
  const mayReceive = (clientId: string, topic: string): boolean =>
    connections.byId(clientId)?.connection.permissions?.mayReceive(topic) ?? true
  const subscriptions = createSessionSubscriptions(options, dependencies.interest)
  const disk = kept && createSessionDisk(kept, subscriptions, () => sessions)
  const keeping =
    kept &&
    createKeeping({
      clock,
      log: kept.log,
      match: subscriptions.match,
      sessionRow: (clientId) => sessions.stored(clientId)?.row,
      mayReceive,
      isRetainedElsewhere: ofCluster !== undefined,
    })
  let shared: SharedSubscriptions | undefined
  const retained: RetainedMessages =
    ofCluster ?? createRetainedMessages(clock, options, keeping?.retainedRows)
  const queues = createSubscriberQueues(options, () => clock.monotonicMs(), keeping?.queueRows)
  const sessions: Sessions = createSessions(
    {
      clock,
      newRow: kept?.log.nextId,
      changed: disk?.save,
      ended(clientId, row) {
        shared?.sessionEnded(clientId)
        persistence.forget(clientId)
        if (row !== undefined) kept?.log.remove('sessions', row)
        wills.sessionEnded(clientId)
      },
    },
    options,
  )
  const notKept = createNotKept(dependencies)
  const persistence = createPersistence({
    queues,
    subscriptions,
    disk,
    hasSession: (clientId) => sessions.has(clientId),
    keepsFilter(client, filter) {
      const connection = connections.of(client)
      return connection?.session?.isOver === false && connection.filters.has(filter)
    },
    isMqtt5: (client) => connections.of(client)?.mqtt5 !== undefined,
    acknowledged: (client, messageId) => connections.of(client)?.member?.completed(messageId),
    receivedOf: (client) => connections.of(client)?.received,
    mayReceive,
    emptied: (client) => connections.of(client)?.hasEmptiedQueue(),
    notKept: (count) => notKept('queue_full', count),
  })
  if (kept && keeping) {
    const own = ofCluster === undefined ? retained : undefined
    restoreKept({ clock, kept, subscriptions, retained: own, queues, sessions, ...keeping })
  }
  ofCluster?.onDropped(() => notKept('retained_unreachable', 1))
  report(metrics, { sessions, queues, retained })
  return {
    ...createClientStore(persistence, () => shared),
    storedFilters: subscriptions.filtersOf,
    prepareKeep: ofCluster === undefined ? keeping?.prepare : ofCluster.preparing(keeping?.prepare),
    retained,
    queues,
    sessions,
    notKept,
    /** To be called once, when the broker listens. */
    share: (broker: Aedes): SharedSubscriptions =>
      (shared = shareOf(broker, { queues, sessions, subscriptions }, options)),
  }
}

function createNotKept({ metrics, log }: Pick<MemoryDependencies, 'metrics' | 'log'>) {
  return (reason: NotKeptReason, count: number): void => {
    metrics.messagesNotKept.inc({ reason }, count)
    log.warn(reason, { reason }, 'a message was not kept for an absent or later subscriber')
  }
}

function report(
  metrics: Metrics,
  of: {
    readonly sessions: Sessions
    readonly queues: SubscriberQueues
    readonly retained: RetainedMessages
  },
): void {
  metrics.mqttAbsentSessions.readFrom(() => of.sessions.absentCount)
  metrics.mqttQueuedBytes.readFrom(() => of.queues.bytes)
  metrics.retainedMessages.readFrom(() => of.retained.count)
}

function shareOf(
  broker: Aedes,
  {
    queues,
    sessions,
    subscriptions,
  }: {
    readonly queues: SubscriberQueues
    readonly sessions: Sessions
    readonly subscriptions: SessionSubscriptions
  },
  options: MemoryOptions,
): SharedSubscriptions {
  return createSharedSubscriptions({
    broker,
    queues,
    storedFilters: subscriptions.filtersOf,
    setQueued: subscriptions.setQueued,
    nextCounter: () => ++(broker as CountingAedes).counter,
    ...createGroupSessions(sessions, options),
  })
}

function createClientStore(
  persistence: ReturnType<typeof createPersistence>,
  shared: () => SharedSubscriptions | undefined,
) {
  const { store, forgetSubscription, storeSubscription, subscriptionsFlushed } = persistence
  return {
    persistence: store,
    storeSubscription,
    subscriptionsFlushed,
    forgetSubscription(client: Client, filter: string): void {
      forgetSubscription(client, filter)
      shared()?.forget(client.id, filter)
    },
  }
}

/** The queue of a group is that of a session, which lasts as long as those of its members may. */
function createGroupSessions(
  sessions: Sessions,
  { sessionExpiryMs }: { readonly sessionExpiryMs: number },
) {
  return {
    keep(key: string, keepMs: number): void {
      const before = sessions.stored(key)?.expiryMs ?? 0
      const expiryMs = Math.min(sessionExpiryMs, Math.max(before, keepMs))
      if (sessions.resume(key, expiryMs) === undefined) sessions.begin(key, expiryMs)
    },
    end: (key: string) => sessions.discard(key),
  }
}

function createSessionDisk(
  { log }: KeptStore,
  { filtersOf }: SessionSubscriptions,
  sessions: () => Sessions,
) {
  return {
    save: (clientId: string): void => {
      const stored = sessions().stored(clientId)
      if (stored === undefined) return
      const { row, ...session } = stored
      const subscriptions = [...(filtersOf.get(clientId)?.values() ?? [])]
      log.put('sessions', row, encodeSession(row, { ...session, subscriptions }))
    },
    flushed: (clientId: string) =>
      sessions().stored(clientId) === undefined ? undefined : log.flushed(),
  }
}
