import type { Client } from 'aedes'
import type { Connection } from './connection.ts'

/** The connections that are open, and how to find them. */
export interface Connections {
  add(client: Client, connection: Connection): void
  /** The client is accepted under its id: another connection of that id is closed. */
  readonly name: (client: Client, connection: Connection) => void
  remove(client: Client, connection: Connection): void
  readonly of: (client: Client) => Connection | undefined
  byId(clientId: string): { readonly client: Client; readonly connection: Connection } | undefined
  every(test: (connection: Connection) => boolean): boolean
  forEach(act: (connection: Connection) => void): void
}

export function createConnections(): Connections {
  const open = new Set<Connection>()
  // Weak: Aedes' hooks may still run for a client whose connection is closed.
  const byClient = new WeakMap<Client, Connection>()
  const named = new Map<string, { readonly client: Client; readonly connection: Connection }>()
  return {
    add(client, connection) {
      open.add(connection)
      byClient.set(client, connection)
    },
    name(client, connection) {
      const earlier = named.get(client.id)
      named.set(client.id, { client, connection })
      // [MQTT-3.1.4-2]. Aedes sees to it, but forgets the younger of two that overlap in closing.
      if (earlier !== undefined && earlier.client !== client) earlier.client.close()
    },
    remove(client, connection) {
      connection.closed = true
      open.delete(connection)
      connection.session?.connectionGone()
      if (named.get(client.id)?.connection === connection) named.delete(client.id)
    },
    of: (client) => byClient.get(client),
    byId: (clientId) => named.get(clientId),
    every: (test) => [...open].every(test),
    forEach: (act) => [...open].forEach(act),
  }
}
