import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { Aedes, Client } from 'aedes'
import type { Clock } from '../clock.ts'
import { messageOf, SluiceError } from '../errors.ts'
import type { Message } from '../message.ts'
import type { Logger, Metrics } from '../telemetry.ts'
import { createBroker } from './broker.ts'
import { createConnection, normalizeAddress } from './connection.ts'
import type { Connection } from './connection.ts'
import { createGate } from './gate.ts'
import type { GateFault } from './gate.ts'
import { createLimitedLog } from '../limited-log.ts'
import type { LimitedLog } from '../limited-log.ts'
import { createPublishing } from './publishing.ts'
import type { Distribute } from './publishing.ts'
import { createSessionStore } from './received-ids.ts'
import { findTopicTextFault, parseBasicIngest } from './topic.ts'

/** Stage 1: messages come in, over MQTT through the embedded broker or through `publish`. */
export interface Ingress {
  /**
   * Starts to accept MQTT connections.
   *
   * @returns the port that is listened on, also where 0 asked for a free one
   * @throws SluiceError PortUnavailable
   */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ port: number }>
  /**
   * Takes a message as if a client had published it: ingests it, then distributes it to the
   * subscribers. A topic `$aws/rules/<rule>/<topic>` is Basic Ingest here too.
   *
   * @throws SluiceError InvalidRequestException for the topic, PayloadTooLarge,
   *   ServiceUnavailableException after `close`; or what `ingest` rejects with
   */
  publish(message: Message): Promise<void>
  /**
   * Stops accepting, gives PUBLISHes that wait for their answer `drainMs` to get it, then
   * disconnects everyone. Wills are published, as of any connection that the broker ends.
   */
  close(): Promise<void>
}

export interface IngressDeps {
  /**
   * Called synchronously, in the order of arrival. Resolves once all that the message gives rise
   * to is durable; a rejection means no acknowledgement, and the client sends it again.
   */
  readonly ingest: (message: Message) => Promise<void>
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
}

export const ingressDefaults = Object.freeze({
  /** Bytes of a payload; AWS IoT takes 128 KiB. */
  payloadBytesMax: 128 * 1024,
  /** UTF-8 bytes of a client id; AWS IoT takes 128. */
  clientIdBytesMax: 128,
  connectionsMax: 10_000,
  /** PUBLISHes of one client that are handled at a time; the rest waits in its TCP connection. */
  unfinishedMax: 64,
  /** Bytes of one client that are read though they have to wait, to find its PINGREQs. */
  readAheadBytesMax: 64 * 1024,
  /** Messages that are handed to subscribers at a time. */
  distributionsMax: 100,
  /** Sessions of absent clients of which the open QoS 2 handshakes are remembered. */
  sessionsMax: 10_000,
  /** For the CONNECT to arrive. */
  connectTimeoutMs: 10_000,
  /** For a subscriber to take what is written to it; it would hold up its publishers longer. */
  drainTimeoutMs: 5_000,
  /** For the last bytes of a connection to leave. */
  closeTimeoutMs: 2_000,
  /** For unanswered PUBLISHes to get their answer when the ingress closes. */
  drainMs: 5_000,
})
export type IngressOptions = Readonly<Record<keyof typeof ingressDefaults, number>>

export async function createIngress(
  deps: IngressDeps,
  overrides: Partial<IngressOptions> = {},
): Promise<Ingress> {
  const options = { ...ingressDefaults, ...overrides }
  const { metrics, clock } = deps
  const logger = deps.logger.child({ stage: 'ingress' })
  const log = createLimitedLog({ logger, clock }, { linesMax: 10, intervalMs: 60_000 })
  const connections = createConnections()
  const connectionOf = connections.of
  const sessions = createSessionStore(options.sessionsMax)
  const broker = createBroker({ logger, log, metrics, sessions, connectionOf }, options)
  await broker.listen()
  const idle = createSignal()
  const publishing = createPublishing({
    ingest: deps.ingest,
    clock,
    metrics,
    log,
    connectionOf,
    finished: idle.raise,
    distribute: broker.publish.bind(broker) as Distribute,
  })
  broker.authorizePublish = publishing.authorize
  broker.publish = publishing.distribute
  const context = { broker, connections, clock, metrics, logger, log, closed: idle.raise }
  const server = createServer({ allowHalfOpen: true }, (socket) => accept(context, options, socket))
  server.maxConnections = options.connectionsMax
  server.on('drop', () => {
    metrics.mqttConnectionsRefused.inc({ reason: 'too_many_connections' })
    log.warn('too_many_connections', {}, 'a connection was refused: there are too many')
  })
  let closing: Promise<void> | undefined

  async function close(): Promise<void> {
    const closed = closeServer(server)
    connections.forEach(({ gate }) => gate.hold())
    const timeUp = new AbortController()
    const cancel = clock.after(options.drainMs, () => timeUp.abort())
    const isAnswered = () => connections.every(({ gate }) => gate.unfinished === 0)
    await idle.until(() => isAnswered() && publishing.underway === 0, timeUp.signal)
    await new Promise<void>((resolve) => broker.close(resolve))
    // The clients are gone; what may be under way now are their wills.
    await idle.until(() => publishing.underway === 0, timeUp.signal)
    cancel()
    // Those that Aedes does not know, or not any more.
    connections.forEach(({ gate }) => gate.stream.destroy())
    await closed
  }

  return {
    listen: (address) =>
      listen(server, address, (error) => {
        log.warn('accept_failed', { detail: error.message }, 'a connection could not be accepted')
      }),
    async publish(message) {
      if (closing !== undefined) {
        throw new SluiceError('ServiceUnavailableException', 'The broker is stopping.')
      }
      await publishing.publish(checkMessage(message, options.payloadBytesMax))
    },
    close: () => (closing ??= close()),
  }
}

interface AcceptContext extends Pick<IngressDeps, 'clock' | 'metrics' | 'logger'> {
  readonly broker: Aedes
  readonly connections: Connections
  readonly log: LimitedLog
  readonly closed: () => void
}

/** Puts a gate before a new socket and hands it to Aedes. */
function accept(context: AcceptContext, options: IngressOptions, socket: Socket): void {
  const { broker, connections, metrics, logger } = context
  const sourceIp = normalizeAddress(socket.remoteAddress)
  socket.setNoDelay(true)
  socket.setKeepAlive(true, tcpKeepAliveMs)
  const events = {
    fault: (fault: GateFault) => reportFault(context, { clientId: clientId(), sourceIp }, fault),
    publishReleased: (packetId: number) => connection.received.release(packetId),
    closed() {
      connections.remove(connection)
      if (connection.counted) metrics.mqttConnections.dec()
      logger.debug({ clientId: clientId(), sourceIp }, 'client disconnected')
      context.closed()
    },
  }
  const gate = createGate({ socket, clock: context.clock, events }, options)
  const connection = createConnection(gate, sourceIp)
  const client = broker.handle(gate.stream)
  /** Null until Aedes has read the CONNECT, whatever its type says. */
  const clientId = () => client.id ?? undefined
  connections.add(client, connection)
}

/** How long a connection is silent before TCP asks whether the peer is alive. */
const tcpKeepAliveMs = 60_000

type Connections = ReturnType<typeof createConnections>

function createConnections() {
  const open = new Set<Connection>()
  // Weak: Aedes' hooks may still run for a client whose connection is closed.
  const byClient = new WeakMap<Client, Connection>()
  return {
    add(client: Client, connection: Connection) {
      open.add(connection)
      byClient.set(client, connection)
    },
    remove(connection: Connection) {
      connection.closed = true
      open.delete(connection)
    },
    of: (client: Client) => byClient.get(client),
    every: (test: (connection: Connection) => boolean) => [...open].every(test),
    forEach: (act: (connection: Connection) => void) => [...open].forEach(act),
  }
}

/** Waits for a condition that is looked at again in each turn in which something happened. */
function createSignal() {
  const listeners = new Set<() => void>()
  let isPlanned = false
  const lookAll = () => {
    isPlanned = false
    listeners.forEach((look) => look())
  }
  return {
    raise: () => {
      if (listeners.size === 0 || isPlanned) return
      isPlanned = true
      setImmediate(lookAll)
    },
    until: (condition: () => boolean, timeUp: AbortSignal) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (!condition() && !timeUp.aborted) return
          listeners.delete(look)
          timeUp.removeEventListener('abort', look)
          resolve()
        }
        listeners.add(look)
        timeUp.addEventListener('abort', look)
        look()
      }),
  }
}

function reportFault(
  { log, metrics }: Pick<AcceptContext, 'log' | 'metrics'>,
  sender: { readonly clientId: string | undefined; readonly sourceIp: string | undefined },
  { reason, topic, size, detail }: GateFault,
): void {
  metrics.mqttConnectionsRefused.inc({ reason })
  if (reason === 'payload_too_large' || reason === 'topic_invalid' || reason === 'topic_reserved') {
    metrics.messagesRejected.inc({ reason })
  }
  log.warn(reason, { reason, ...sender, topic, size, detail }, 'a client was disconnected')
}

function checkMessage(message: Message, payloadBytesMax: number): Message {
  const fault = findTopicTextFault(message.topic)
  if (fault !== undefined) throw new SluiceError('InvalidRequestException', fault.detail)
  if (message.payload.length > payloadBytesMax) {
    throw new SluiceError('PayloadTooLarge', `The payload is over ${payloadBytesMax} bytes.`)
  }
  const basicIngest = parseBasicIngest(message.topic)
  if (basicIngest === undefined) return message
  return { ...message, topic: basicIngest.topic, basicIngestRule: basicIngest.rule }
}

function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
  onLaterError: (error: Error) => void,
): Promise<{ port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const text = `MQTT cannot listen on ${host}:${port}: ${messageOf(cause)}`
      reject(new SluiceError('PortUnavailable', text, { cause }))
    })
    server.listen({ host, port }, () => {
      server.removeAllListeners('error')
      // Later ones are of single connections, such as too many open files.
      server.on('error', onLaterError)
      resolve({ port: (server.address() as AddressInfo).port })
    })
  })
}

const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => server.close(() => resolve()))
