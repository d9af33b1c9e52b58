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

export function createConnections(
  { clock, lookup }: ConnectionsDependencies,
  options: ClusterOptions,
): Connections {
  const open = new Map<string, Promise<BrokerConnection>>()
  let isClosed = false

  async function connect(key: string, broker: BrokerAddress): Promise<BrokerConnection> {
    const onClose = () => {
      if (open.get(key) === connecting) open.delete(key)
    }
    const connecting = openConnection({ lookup, clock, onClose }, broker, options)
    open.set(key, connecting)
    try {
      const connection = await connecting
      if (!isClosed) return connection
      connection.close()
    } catch (thrown) {
      onClose()
      throw thrown
    }
    throw closed()
  }

  return {
    async to(broker) {
      if (isClosed) throw closed()
      const key = `${broker.host}:${broker.port}`
      const known = open.get(key)
      if (known === undefined) return connect(key, broker)
      const connection = await known
      if (connection.isUsable()) return connection
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
      isClosed = true
      for (const connecting of open.values()) {
        connecting.then(
          (connection) => connection.close(),
          () => undefined,
        )
      }
      open.clear()
    },
  }
}

const closed = () => new KafkaProblem('AbortError', 'the connections were closed')
