import { Socket } from 'node:net'
import mqtt from 'mqtt'
import type { IClientOptions, IPublishPacket, MqttClient } from 'mqtt'
import type { Clock } from '../base/clock.ts'
import { defined } from '../base/defined.ts'
import type { UpstreamConfig } from '../config/upstream-config.ts'
import type { Credentials } from './credentials.ts'
import type { EndCause, Phase } from './end-reason.ts'

/**
 * One connection to the upstream broker, from CONNECT to its end, by the client of MQTT.js. It does
 * not reconnect, and it sends no acknowledgement of its own:
 *
 * - MQTT.js handles one message at a time and would acknowledge it before it looks at the next one,
 *   so that each message would cost a flush of the disk. Here its `handleMessage` goes on at once,
 *   with an error, which makes MQTT.js send no PUBACK; the PUBACK is written when the message is
 *   durable.
 * - While `proceed` is not called, nothing is read, PINGRESP neither. PINGREQ goes out meanwhile,
 *   and the client's own timer is put off.
 * - Subscriptions have QoS 1. A session that another program left may hold messages of QoS 2: they
 *   are treated like those of QoS 1 with PUBREC for PUBACK, so PUBREC waits for the disk, too.
 */
export interface UpstreamConnection {
  /**
   * @param filters at most `filtersPerSubscribeMax`
   * @returns the code of each filter: the granted QoS, or 128 and more for a refusal
   * @throws an Error (rejects) when the connection ends before the answer
   */
  subscribe(filters: readonly string[]): Promise<readonly number[]>
  /** Rejects when the connection ends before the answer. */
  unsubscribe(filters: readonly string[]): Promise<void>
  /** DISCONNECT, and the end; at once where the connection does not stand. */
  close(): void
  /** The end without a word, for this reason. */
  abort(reason: string): void
}

/** What the broker said in its CONNACK. */
export interface OpenedSession {
  /** Whether it still had the session. */
  readonly isPresent: boolean
  /** MQTT 5: how long it keeps the session, where that is not what was asked for. */
  readonly expirySeconds: number | undefined
}

interface ConnectionHandlers {
  readonly connected: (session: OpenedSession) => void
  /** @param acknowledge does nothing for a message of QoS 0, and after the end */
  readonly message: (packet: IPublishPacket, acknowledge: () => void, proceed: () => void) => void
  /** Called once. */
  readonly ended: (cause: EndCause) => void
}

/** Filters in one SUBSCRIBE: AWS IoT Core takes as many. */
export const filtersPerSubscribeMax = 8

/** For the connection, the TLS handshake and CONNACK. */
const connectTimeoutMs = 20_000
const keepAliveSeconds = 60
/** The end of a connection that does not end by itself after DISCONNECT. */
const closeTimeoutMs = 2_000
/** MQTT 5: the broker sends no larger packets. Payloads have at most 1 MiB here. */
const packetBytesMax = 2 * 1_024 * 1_024

interface ConnectionDependencies extends ConnectionHandlers {
  readonly clock: Clock
}

interface ConnectionSettings {
  readonly config: UpstreamConfig
  readonly clientId: string
  readonly credentials: Credentials
}

/** Connects. What goes wrong, at once or later, is told by `ended`. */
export function openConnection(
  { clock, connected, message, ended }: ConnectionDependencies,
  settings: ConnectionSettings,
): UpstreamConnection {
  const client = mqtt.connect(clientOptions(settings))
  let cause: EndCause | undefined
  let phase: Phase = 'connect'
  let hasEnded = false
  const timers = createTimers(clock)

  function finish(): void {
    if (hasEnded) return
    hasEnded = true
    timers.cancelAll()
    ended(cause ?? { kind: 'closed', phase })
  }

  function end(why: EndCause): void {
    cause ??= why
    if (!hasEnded) client.end(true)
  }

  const connectTimer = timers.after(connectTimeoutMs, () => end({ kind: 'timeout' }))
  client.on('error', (thrown) => end(causeOf(thrown, phase)))
  client.on('disconnect', ({ reasonCode: code = 0, properties }) => {
    end({ kind: 'disconnected', code, server: properties?.serverReference })
  })
  client.on('close', finish)
  client.on('connect', ({ sessionPresent, properties }) => {
    connectTimer()
    phase = 'messages'
    connected({ isPresent: sessionPresent, expirySeconds: properties?.sessionExpiryInterval })
  })
  const sentTwice = asQos1(client)
  client.handleMessage = (packet, proceed) => {
    const acknowledge = acknowledgementOf(client, packet, sentTwice.has(packet))
    let isHeld = true
    let stopPinging: (() => void) | undefined
    message(packet, acknowledge, () => {
      isHeld = false
      stopPinging?.()
      // An error keeps MQTT.js from sending PUBACK, and has no other effect.
      proceed(acknowledgedLater)
    })
    if (isHeld) stopPinging = keepAlive(client, timers)
  }
  connect(client, (thrown) => (cause ??= causeOf(thrown, phase)), finish)

  return {
    async subscribe(filters) {
      phase = 'subscribe'
      const codes = await subscribe(client, filters, settings.config)
      phase = 'messages'
      return codes
    },
    unsubscribe: async (filters) => void (await client.unsubscribeAsync([...filters])),
    close() {
      if (hasEnded) return
      cause ??= { kind: 'own', reason: 'this engine closes the connection' }
      if (!client.connected) return end(cause)
      client.end(false)
      timers.after(closeTimeoutMs, () => client.stream.destroy())
    },
    abort(reason) {
      cause ??= { kind: 'own', reason }
      const why = cause
      // Acknowledgements of this turn of the event loop leave before.
      setImmediate(() => end(why))
    },
  }
}

/** Timers that end together. */
function createTimers(clock: Clock) {
  const timers = new Set<() => void>()
  return {
    after(delayMs: number, run: () => void): () => void {
      const cancel = clock.after(delayMs, () => {
        timers.delete(cancel)
        run()
      })
      timers.add(cancel)
      return () => {
        timers.delete(cancel)
        cancel()
      }
    },
    cancelAll: () => timers.forEach((cancel) => cancel()),
  }
}

function clientOptions({ config, clientId, credentials }: ConnectionSettings): IClientOptions {
  const { protocol, host, port, path, alpn, sessionExpirySeconds } = config
  const isWebSocket = path !== undefined
  return {
    protocol,
    host: isWebSocket && host.includes(':') ? `[${host}]` : host,
    port,
    clientId,
    ...defined({ path, ...credentials }),
    ...(alpn !== undefined && { ALPNProtocols: [alpn] }),
    keepalive: keepAliveSeconds,
    clean: sessionExpirySeconds === 0,
    // A connection is made by `openConnection` alone.
    manualConnect: true,
    reconnectPeriod: 0,
    resubscribe: false,
    connectTimeout: 2 * connectTimeoutMs,
    timerVariant: 'native',
    ...(config.version === '5'
      ? {
          protocolVersion: 5 as const,
          properties: {
            sessionExpiryInterval: sessionExpirySeconds,
            receiveMaximum: config.unacknowledgedMax,
            maximumPacketSize: packetBytesMax,
          },
        }
      : { protocolVersion: 4 as const }),
  }
}

async function subscribe(
  client: MqttClient,
  filters: readonly string[],
  { version }: UpstreamConfig,
): Promise<readonly number[]> {
  // Retained messages are not new ones: those that the broker sends all the same are left out.
  const options = version === '5' ? { qos: 1 as const, rh: 2 } : { qos: 1 as const }
  return new Promise((resolve, reject) => {
    client.subscribe([...filters], options, (failure, _granted, suback) => {
      const codes = suback?.granted
      if (codes?.length === filters.length) resolve(codes as number[])
      else reject(failure ?? new Error('the answer to SUBSCRIBE does not fit it'))
    })
  })
}

const acknowledgedLater = new Error('The message is acknowledged later.')

/** What MQTT.js reports, and codes of CONNACK among it. */
function causeOf(thrown: unknown, phase: Phase): EndCause {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  if (phase === 'connect' && typeof code === 'number') return { kind: 'refused', code }
  return { kind: 'error', thrown, phase }
}

/** @param failed told what goes wrong; `finish` follows, later, where nothing was begun */
function connect(client: MqttClient, failed: (thrown: unknown) => void, finish: () => void): void {
  try {
    client.connect()
  } catch (thrown) {
    // OpenSSL refuses what was read from a file, for instance.
    failed(thrown)
    return queueMicrotask(finish)
  }
  const { stream } = client
  // MQTT.js does not report errors of a stream that have no code.
  stream.on('error', failed)
  // While nothing is read, the end of a broker that has vanished is seen by TCP alone.
  if (stream instanceof Socket) stream.setKeepAlive(true, keepAliveSeconds * 1_000)
}

/** Gives MQTT.js messages of QoS 2 as such of QoS 1. @returns those messages */
function asQos1(client: MqttClient): WeakSet<object> {
  const found = new WeakSet<object>()
  client.on('packetreceive', (packet) => {
    if (packet.cmd !== 'publish' || packet.qos !== 2) return
    packet.qos = 1
    found.add(packet)
  })
  return found
}

const puback = 0x40
const pubrec = 0x50

function acknowledgementOf(
  { stream }: MqttClient,
  { qos, messageId = 0 }: IPublishPacket,
  isQos2: boolean,
): () => void {
  if (qos === 0) return () => undefined
  return () => {
    if (stream.destroyed || stream.writableEnded) return
    // Those of one turn of the event loop leave in one write.
    stream.cork()
    process.nextTick(() => stream.uncork())
    // Two bytes follow: no reason code and no properties, in MQTT 5 too.
    stream.write(Buffer.from([isQos2 ? pubrec : puback, 2, messageId >> 8, messageId & 0xff]))
  }
}

/**
 * Sends PINGREQ while nothing is read.
 *
 * @returns a function that ends it
 */
function keepAlive(client: MqttClient, timers: ReturnType<typeof createTimers>): () => void {
  const ping = () => {
    if (client.connected) {
      client.sendPing()
      client.reschedulePing(true)
    }
    cancel = again()
  }
  const again = () => timers.after((client.keepalive * 1_000) / 2, ping)
  let cancel = again()
  return () => cancel()
}
