import type { Aedes } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import type { Logger, Metrics } from '../../telemetry/telemetry.ts'
import type { Peer } from '../../identity/policies/access.ts'
import { createConnection } from '../broker/connection.ts'
import type { Connections } from '../broker/connections.ts'
import { watchDrain } from '../broker/drain-watch.ts'
import { createGate } from '../gate/gate.ts'
import type { GateFault, GateLimits, GateSocket } from '../gate/gate.ts'
import type { HeldBytes } from '../gate/held-bytes.ts'
import type { createManagedClients } from '../broker/managed-clients.ts'
import type { Mqtt5Clients } from '../broker/mqtt5-clients.ts'
import type { SharedMembers } from '../broker/shared-members.ts'
import type { DisconnectReason, LifecycleEvents } from '../broker/lifecycle-events.ts'
import { createRefusals } from './refusals.ts'

/**
 * Puts a gate in front of a new connection of any transport and hands it to Aedes.
 *
 * @param connectMs time in which the CONNECT has to arrive; absent: `connectTimeoutMs`
 */
export type Accept = (socket: GateSocket, peer: Peer, connectMs?: number) => void

export interface AcceptanceDependencies {
  readonly broker: Aedes
  readonly connections: Connections
  readonly mqtt5Clients: Mqtt5Clients
  readonly sharedMembers: SharedMembers
  readonly events: LifecycleEvents
  readonly heldBytes: HeldBytes
  readonly managed: Pick<ReturnType<typeof createManagedClients>, 'gone'>
  readonly clock: Clock
  readonly metrics: Metrics
  readonly logger: Logger
  readonly log: LimitedLog
}

const notDraining: GateFault = Object.freeze({
  reason: 'not_draining',
  detail: 'the client did not read what was written to it',
})

/** What a client does not do wrong itself. */
const endReasons: ReadonlyMap<GateFault['reason'], DisconnectReason> = new Map([
  ['keepalive_timeout', 'MQTT_KEEP_ALIVE_TIMEOUT'],
  ['held_bytes', 'THROTTLED'],
  ['held_answers', 'THROTTLED'],
])

interface AcceptanceLimits extends GateLimits {
  /** Time in which a CONNECT has to arrive. */
  readonly connectTimeoutMs: number
  /** Time in which a client has to read what is written to it, because its publishers wait. */
  readonly drainTimeoutMs: number
}

export function createAcceptance(
  dependencies: AcceptanceDependencies,
  limits: AcceptanceLimits,
): Accept {
  const { broker, connections, metrics, logger, clock, heldBytes } = dependencies
  const refuse = createRefusals(dependencies)

  return (socket, peer, connectMs = limits.connectTimeoutMs) => {
    const { sourceIp } = peer
    const events = {
      fault(fault: GateFault) {
        connection.endReason ??= endReasons.get(fault.reason) ?? 'CLIENT_ERROR'
        connection.mqtt5?.endWithFault(fault)
        reportFault(dependencies, { clientId: clientId(), sourceIp }, fault)
      },
      ignored({ reason, topic, detail }: GateFault) {
        if (topic !== undefined) metrics.messagesRejected.inc({ reason })
        const about = { reason, clientId: clientId(), sourceIp, topic, detail }
        dependencies.log.warnOnce(`${reason}_ignored`, about, 'a packet is ignored, as on AWS')
      },
      closed() {
        cancel()
        gone()
        connections.remove(client, connection)
        dependencies.mqtt5Clients.gone(client, connection)
        dependencies.managed.gone(client, connection)
        dependencies.sharedMembers.gone(connection)
        dependencies.events.disconnected(client, connection)
        if (connection.counted) metrics.mqttConnections.dec()
        logger.debug({ clientId: clientId(), sourceIp }, 'client disconnected')
      },
    }
    const waitsForRoom = () => connection.waitsForRoom()
    const end = (fault: GateFault) => {
      events.fault(fault)
      gate.stream.destroy()
    }
    const openDialect = () => dependencies.mqtt5Clients.open(client, connection, end)
    const parts = { socket, clock, events, heldBytes, waitsForRoom, openDialect }
    const gate = createGate(parts, limits)
    watchDrain(gate.stream, clock, limits.drainTimeoutMs, () => end(notDraining))
    const connection = createConnection(gate, peer, socket)
    const client = broker.handle(gate.stream)
    /** Null until Aedes has read the CONNECT, whatever its type says. */
    const clientId = () => client.id ?? undefined
    connections.add(client, connection)
    const gone = () => {
      connection.hasGone = true
      connection.onGone?.()
    }
    socket.once('end', gone)

    const timedOut = () => {
      if (gate.hasBegun()) return
      refuse('connect_timeout', { sourceIp })
      gate.stream.destroy()
    }
    const cancel = clock.after(connectMs, timedOut)
  }
}

function reportFault(
  { log, metrics }: Pick<AcceptanceDependencies, 'log' | 'metrics'>,
  sender: { readonly clientId: string | undefined; readonly sourceIp: string | undefined },
  { reason, topic, size, detail }: GateFault,
): void {
  metrics.mqttConnectionsRefused.inc({ reason })
  if (reason === 'payload_too_large' || reason === 'topic_invalid' || reason === 'topic_reserved') {
    metrics.messagesRejected.inc({ reason })
  }
  log.warn(reason, { reason, ...sender, topic, size, detail }, 'a client was disconnected')
}
