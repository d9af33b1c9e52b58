import { setMaxListeners } from 'node:events'
import type { LookupFunction } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { openConnection } from './broker-connection.ts'
import type { BrokerConnection } from './broker-connection.ts'
import type { BrokerAddress } from './client-properties.ts'
import type { ClusterOptions } from './cluster-options.ts'
import { KafkaProblem } from './kafka-problem.ts'

/** The connections to the brokers of a cluster: one for each address. */
export interface Connections {
  /** Connects when there is no connection. @throws Error of `openConnection` */
  to(broker: BrokerAddress): Promise<BrokerConnection>
  /** One that is open; undefined when none is. Never rejects. */
  anyOpen(): Promise<BrokerConnection | undefined>
  /** Closes all of them, and fails the requests in flight. */
  close(): void
}

export interface ConnectionsDependencies {
  readonly clock: Clock
  /** Resolves names of brokers; it may refuse one. */
  readonly lookup: LookupFunction
}

/** Brokers of one cluster that are connected. */
const connectionsMax = 128

export function createConnections(
  { clock, lookup }: ConnectionsDependencies,
  options: ClusterOptions,
): Connections {
  const open = new Map<string, Promise<BrokerConnection>>()
  const ending = new AbortController()
  // Each connection adds a listener.
  setMaxListeners(0, ending.signal)

  async function connect(key: string, broker: BrokerAddress): Promise<BrokerConnection> {
    const onClose = () => {
      if (open.get(key) === connecting) open.delete(key)
    }
    const connecting = openConnection(
      { lookup, clock, onClose, ending: ending.signal },
      broker,
      options,
    )
    open.set(key, connecting)
    retireOldest()
    try {
      return await connecting
    } catch (thrown) {
      onClose()
      throw ending.signal.aborted ? closed() : thrown
    }
  }

  /** A cluster may name any number of brokers: the one that was used least recently makes room. */
  function retireOldest(): void {
    const [oldest] = open
    if (open.size <= connectionsMax || oldest === undefined) return
    const [key, connecting] = oldest
    open.delete(key)
    connecting.then(
      (connection) => connection.retire(),
      () => undefined,
    )
  }

  return {
    async to(broker) {
      if (ending.signal.aborted) throw closed()
      const key = `${broker.host}:${broker.port}`
      const known = open.get(key)
      if (known === undefined) return connect(key, broker)
      const connection = await known
      if (connection.isUsable()) {
        if (open.get(key) === known) {
          open.delete(key)
          open.set(key, known)
        }
        return connection
      }
      connection.retire()
      // Others may have waited for the same one, and the first of them has made a new one.
      const since = open.get(key)
      return since === undefined || since === known ? connect(key, broker) : since
    },
    async anyOpen() {
      for (const connecting of open.values()) {
        const connection = await connecting.catch(() => undefined)
        if (connection?.isUsable()) return connection
      }
      return undefined
    },
    close() {
      ending.abort()
      open.clear()
    },
  }
}

const closed = () => new KafkaProblem('AbortError', 'the connections were closed')
