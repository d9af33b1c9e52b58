import type { Aedes, Client } from 'aedes'
import type { Clock } from '../base/clock.ts'
import type { LimitedLog } from '../telemetry/limited-log.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import type { Connections } from './broker/connections.ts'
import type { DelayedWills } from './broker/delayed-wills.ts'
import { createPersistence } from './kept/persistence.ts'
import { createRetainedMessages } from './kept/retained-messages.ts'
import { createSessions } from './kept/sessions.ts'
import type { Sessions } from './kept/sessions.ts'
import { createSubscriberQueues } from './kept/subscriber-queues.ts'
import { createSharedSubscriptions } from './sharing/shared-subscriptions.ts'
import type { SharedSubscriptions } from './sharing/shared-subscriptions.ts'

/** Its declared type leaves out the number of the last message. */
interface CountingAedes extends Aedes {
  counter: number
}

interface MemoryDependencies {
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: LimitedLog
  readonly connections: Connections
  readonly wills: DelayedWills
}

type MemoryOptions = Parameters<typeof createRetainedMessages>[1] &
  Parameters<typeof createSubscriberQueues>[0] &
  Parameters<typeof createSessions>[1]

/** What the broker stores beyond a connection, each part with its bound. */
export function createMemory(dependencies: MemoryDependencies, options: MemoryOptions) {
  const { clock, metrics, log, connections, wills } = dependencies
  const retained = createRetainedMessages(clock, options)
  let shared: SharedSubscriptions | undefined
  const queues = createSubscriberQueues(options, () => clock.monotonicMs())
  const sessions: Sessions = createSessions(
    {
      clock,
      ended(clientId) {
        shared?.sessionEnded(clientId)
        persistence.forget(clientId)
        wills.sessionEnded(clientId)
      },
    },
    options,
  )
  function notKept(reason: 'retained_full' | 'queue_full', count: number): void {
    metrics.messagesNotKept.inc({ reason }, count)
    log.warn(reason, { reason }, 'a message was not kept for an absent or later subscriber')
  }
  const persistence = createPersistence({
    queues,
    hasSession: (clientId) => sessions.has(clientId),
    keepsFilter(client, filter) {
      const connection = connections.of(client)
      return connection?.session?.isOver === false && connection.filters.has(filter)
    },
    isMqtt5: (client) => connections.of(client)?.mqtt5 !== undefined,
    acknowledged: (client, messageId) => connections.of(client)?.member?.completed(messageId),
    receivedOf: (client) => connections.of(client)?.received,
    mayReceive: (clientId, topic) =>
      connections.byId(clientId)?.connection.permissions?.mayReceive(topic) ?? true,
    notKept: (count) => notKept('queue_full', count),
  })
  metrics.mqttAbsentSessions.readFrom(() => sessions.absentCount)
  metrics.mqttQueuedBytes.readFrom(() => queues.bytes)
  metrics.retainedMessages.readFrom(() => retained.count)
  const { store, storedFilters, storeSubscription, setQueued } = persistence
  return {
    persistence: store,
    storedFilters,
    storeSubscription,
    forgetSubscription(client: Client, filter: string): void {
      persistence.forgetSubscription(client, filter)
      shared?.forget(client.id, filter)
    },
    retained,
    queues,
    sessions,
    notKept,
    /** To be called once, when the broker listens. */
    share: (broker: Aedes): SharedSubscriptions =>
      (shared = createSharedSubscriptions({
        broker,
        queues,
        storedFilters,
        setQueued,
        nextCounter: () => ++(broker as CountingAedes).counter,
        keep(key) {
          if (!sessions.has(key)) sessions.begin(key)
        },
        end: (key) => sessions.discard(key),
      })),
  }
}
