import { systemClock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import type { Host } from '../terminal/host.ts'
import { onOneLine } from '../terminal/record-line.ts'
import { findEngineApi } from './engine-api.ts'
import type { EngineApi, EngineOptions } from './engine-api.ts'
import { grouped, tableText } from './table-text.ts'

export interface ClientsOptions extends EngineOptions {
  readonly prefix?: string | undefined
  readonly topic?: string | undefined
  readonly limit: number
  readonly disconnect: boolean
  readonly json: boolean
}

/** What is read of an entry of ListClients. */
interface ShownClient {
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

/** What is read of GetClient. */
interface OneClient extends ShownClient {
  readonly sessionExpiry: number
  readonly subscriptions: readonly { readonly topicFilter: string; readonly qos: number }[]
}

const pageMax = 1_000
/** Between the two reads that a rate is made of. */
const rateMs = 1_000

/**
 * Prints the clients that are connected, or one with its rates; or disconnects one.
 *
 * @throws SluiceError (rejects): see `EngineApi`; ConfigInvalid without a client to disconnect
 */
export async function showClients(
  host: Host,
  clientId: string | undefined,
  options: ClientsOptions,
): Promise<void> {
  if (options.disconnect && clientId === undefined) {
    throw new SluiceError('ConfigInvalid', '--disconnect needs the id of a client')
  }
  const engine = await findEngineApi(host, options)
  if (clientId === undefined) return listClients(host, engine, options)
  if (options.disconnect) return disconnect(host, engine, clientId)
  const path = `/v1/clients/${encodeURIComponent(clientId)}`
  const before = (await engine.call({ path })) as OneClient
  if (options.json) {
    host.stdout.write(`${JSON.stringify(before)}\n`)
    return
  }
  await systemClock.sleep(rateMs)
  host.stdout.write(textOf(before, (await engine.call({ path })) as OneClient))
}

async function disconnect(host: Host, engine: EngineApi, clientId: string): Promise<void> {
  await engine.call({ method: 'DELETE', path: `/connections/${encodeURIComponent(clientId)}` })
  host.stdout.write(`${onOneLine(clientId)} is disconnected\n`)
}

async function listClients(
  host: Host,
  engine: EngineApi,
  { prefix, topic, limit, json }: ClientsOptions,
): Promise<void> {
  const clients: ShownClient[] = []
  let nextToken: string | undefined
  do {
    const maxResults = String(Math.min(pageMax, limit - clients.length))
    const query = { prefix, topic, maxResults, nextToken }
    const page = (await engine.call({ path: '/v1/clients', query })) as {
      readonly clients: readonly ShownClient[]
      readonly nextToken?: string
    }
    clients.push(...page.clients)
    nextToken = page.nextToken
  } while (nextToken !== undefined && clients.length < limit)
  host.stdout.write(
    json ? clients.map((client) => `${JSON.stringify(client)}\n`).join('') : tableOf(clients),
  )
  if (nextToken !== undefined) {
    host.stderr.write('there may be more: --limit says how many are listed\n')
  }
}

const tableOf = (clients: readonly ShownClient[]): string =>
  tableText(
    ['client', 'MQTT', 'address', 'connected', 'filters', 'queued', 'in flight', 'in', 'out'],
    clients.map((client) => [
      onOneLine(client.clientId),
      `${client.protocolVersion} ${client.transport}`,
      client.sourceIp ?? '',
      since(client.connectedSince),
      ...counts.map((name) => grouped(client[name])),
    ]),
    'no such client is connected',
  )

const counts = ['subscriptionCount', 'queued', 'inFlight', 'messagesIn', 'messagesOut'] as const

function textOf(before: OneClient, client: OneClient): string {
  const rateOf = (name: 'messagesIn' | 'messagesOut'): string => {
    const rate = ((client[name] - before[name]) * 1_000) / rateMs
    return `${grouped(client[name])}, ${rate.toFixed(1)} a second now`
  }
  const session =
    client.sessionExpiry === 0
      ? 'ends with the connection'
      : `waits ${grouped(client.sessionExpiry)} s for the client`
  const rows: readonly (readonly [string, string])[] = [
    ['client', client.clientId],
    ['protocol', `MQTT ${client.protocolVersion} over ${client.transport}`],
    ['principal', client.principal ?? 'anonymous'],
    ['address', client.sourceIp ?? ''],
    ['connected', new Date(client.connectedSince).toISOString()],
    ['keep-alive', client.keepAliveDuration === 0 ? 'none' : `${client.keepAliveDuration} s`],
    ['session', `${client.cleanStart ? 'began clean' : 'resumed or kept'}, ${session}`],
    ['queued', grouped(client.queued)],
    ['in flight', grouped(client.inFlight)],
    ['messages in', rateOf('messagesIn')],
    ['messages out', rateOf('messagesOut')],
    ...client.subscriptions.map(
      ({ topicFilter, qos }) => ['subscribed', `${topicFilter} with QoS ${qos}`] as const,
    ),
  ]
  return rows.map(([name, value]) => `${name.padEnd(14)}${onOneLine(value)}\n`).join('')
}

function since(epochMs: number): string {
  const seconds = Math.max(0, Math.round((systemClock.wallMs() - epochMs) / 1_000))
  if (seconds < 120) return `${seconds} s`
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`
}
