import { call } from '../../api/engine.ts'

export interface ListedClient {
  readonly clientId: string
  readonly protocolVersion: string
  readonly transport: string
  readonly principal?: string
  readonly sourceIp?: string
  readonly connectedSince: number
  readonly keepAliveDuration: number
  readonly cleanStart: boolean
  readonly subscriptionCount: number
  readonly queued: number
  readonly inFlight: number
  readonly messagesIn: number
  readonly messagesOut: number
}

export interface OneClient extends ListedClient {
  readonly sessionExpiry: number
  readonly subscriptions: readonly {
    readonly topicFilter: string
    readonly qos: number
    readonly shareName?: string
  }[]
}

export interface ClientList {
  readonly clients: readonly ListedClient[]
  readonly connectedCount: number
  /** More are connected than are read. */
  readonly isCut: boolean
}

interface Page {
  readonly clients: readonly ListedClient[]
  readonly connectedCount: number
  readonly nextToken?: string
}

const pageMax = 1_000
/** As many connections as an engine takes unless it is told otherwise. */
const readMax = 10_000

/** @param seen is told of what has been read so far, so that the first rows need not wait */
export async function readClients(
  filter: { readonly prefix: string; readonly topic: string },
  signal: AbortSignal,
  seen: (list: ClientList) => void,
): Promise<ClientList> {
  const clients: ListedClient[] = []
  let nextToken: string | undefined
  for (;;) {
    const query = { ...filter, nextToken, maxResults: String(pageMax) }
    const page: Page = await call({ path: '/v1/clients', query, signal })
    clients.push(...page.clients)
    nextToken = page.nextToken
    const isCut = nextToken !== undefined
    const list = { clients: [...clients], connectedCount: page.connectedCount, isCut }
    if (nextToken === undefined || clients.length >= readMax) return list
    seen(list)
  }
}

export const readClient = (clientId: string, signal: AbortSignal): Promise<OneClient> =>
  call({ path: `/v1/clients/${encodeURIComponent(clientId)}`, signal })

/** Messages a second between two reads; undefined before the second. */
export interface Rates {
  readonly in: number
  readonly out: number
}

type Counted = Pick<ListedClient, 'clientId' | 'connectedSince' | 'messagesIn' | 'messagesOut'>

/** Makes rates of the counters of two reads; those of a new connection begin anew. */
export function createRates() {
  let before = new Map<string, Counted>()
  let beforeMs = 0
  let rates = new Map<string, Rates>()
  return {
    /** @param atMs when the clients were read; the same time once more changes nothing */
    of(clients: readonly Counted[], atMs: number): ReadonlyMap<string, Rates> {
      if (atMs === beforeMs) return rates
      const seconds = (atMs - beforeMs) / 1_000
      const next = new Map<string, Counted>()
      rates = new Map()
      for (const client of clients) {
        const earlier = before.get(client.clientId)
        next.set(client.clientId, client)
        if (earlier?.connectedSince !== client.connectedSince) continue
        rates.set(client.clientId, {
          in: (client.messagesIn - earlier.messagesIn) / seconds,
          out: (client.messagesOut - earlier.messagesOut) / seconds,
        })
      }
      before = next
      beforeMs = atMs
      return rates
    },
  }
}
