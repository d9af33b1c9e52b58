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
  const queues = createSubscriberQueues(options, () => clock.monotonicMs())
  const sessions: Sessions = createSessions(
    {
      clock,
      ended(clientId) {
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
    receivedOf: (client) => connections.of(client)?.received,
    mayReceive: (clientId, topic) =>
      connections.byId(clientId)?.connection.permissions?.mayReceive(topic) ?? true,
    notKept: (count) => notKept('queue_full', count),
  })
  metrics.mqttAbsentSessions.readFrom(() => sessions.absentCount)
  metrics.mqttQueuedBytes.readFrom(() => queues.bytes)
  metrics.retainedMessages.readFrom(() => retained.count)
  const { store, ...ofSessions } = persistence
  return { ...ofSessions, persistence: store, retained, queues, sessions, notKept }
}
