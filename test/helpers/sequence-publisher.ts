/**
 * A client as MQTT 3.1.1 wants it, on a plain socket: what is not acknowledged is kept and sent
 * again, in order, before anything new, through every loss of the connection.
 */
import { connect } from 'node:net'
import type { Socket } from 'node:net'

/** Publishes 1, 2, 3 and so on to one topic, by QoS 1. */
export interface SequencePublisher {
  readonly key: string
  /** How many were sent. */
  published(): number
  /** All up to this one are acknowledged: acknowledgements come in order [MQTT-4.6.0-2]. */
  acknowledged(): number
  /** Acknowledgements that came for another message than the oldest. */
  readonly misplaced: readonly string[]
  /** Sends nothing new; resolves when everything is acknowledged. */
  stop(): Promise<void>
}

export interface SequencePublisherOptions {
  readonly port: number
  /** Client id, and the last level of the topic unless `topic` says it. */
  readonly key: string
  readonly topicPrefix?: string
  readonly topic?: string
  /** Default: `{"n": n}`. */
  readonly payloadOf?: (n: number) => object
  readonly retain?: boolean
  /** Messages that are not acknowledged yet. */
  readonly window: number
  /** Between two messages. */
  readonly pauseMs: number
}

const packetBytes = 4
const connackType = 0x20
const pubackType = 0x40
const publishQos1 = 0x32
const duplicate = 0x08
const packetIdMax = 65_535
const reconnectMs = 20

export function startSequencePublisher(options: SequencePublisherOptions): SequencePublisher {
  const { port, key, window, pauseMs, payloadOf = (n: number) => ({ n }) } = options
  const { topicPrefix = '', topic = `${topicPrefix}${key}`, retain = false } = options
  const misplaced: string[] = []
  let published = 0
  let acknowledged = 0
  let isConnected = false
  let stopped = false
  let whenDone: (() => void) | undefined
  let socket = open()

  function publish(n: number, flags: number): void {
    const payload = JSON.stringify(payloadOf(n))
    const body = [text(topic), packetIdOf(n), Buffer.from(payload)]
    socket.write(packet(publishQos1 | flags | (retain ? 1 : 0), Buffer.concat(body)))
  }

  function open(): Socket {
    const opened = connect({ port, host: '127.0.0.1' })
    let rest: Buffer = Buffer.alloc(0)
    opened.on('connect', () => opened.write(connectPacket(key)))
    opened.on('error', () => undefined)
    opened.on('close', () => {
      isConnected = false
      if (whenDone && acknowledged === published) return
      setTimeout(() => (socket = open()), reconnectMs)
    })
    opened.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk])
      // CONNACK and PUBACK have the same length, and nothing else comes.
      for (; rest.length >= packetBytes; rest = rest.subarray(packetBytes)) take(rest)
    })
    return opened
  }

  function take(bytes: Buffer): void {
    if (bytes[0] === connackType) {
      for (let n = acknowledged + 1; n <= published; n++) publish(n, duplicate)
      isConnected = true
    } else if (bytes[0] === pubackType) {
      const isOldest = bytes.subarray(2, packetBytes).equals(packetIdOf(acknowledged + 1))
      if (isOldest) acknowledged += 1
      else misplaced.push(`${key}: ${bytes.toString('hex')} instead of ${acknowledged + 1}`)
      endIfDone()
    }
  }

  function endIfDone(): void {
    if (!stopped || acknowledged < published) return
    socket.destroy()
    whenDone?.()
  }

  const timer = setInterval(() => {
    if (stopped || !isConnected || published - acknowledged >= window) return
    published += 1
    publish(published, 0)
  }, pauseMs)

  return {
    key,
    published: () => published,
    acknowledged: () => acknowledged,
    misplaced,
    stop() {
      stopped = true
      clearInterval(timer)
      return new Promise((resolve) => {
        whenDone = resolve
        endIfDone()
      })
    },
  }
}

/** 1 to 65535, and then from 1 again. */
function packetIdOf(n: number): Buffer {
  const id = Buffer.alloc(2)
  id.writeUInt16BE(((n - 1) % packetIdMax) + 1)
  return id
}

/** MQTT 3.1.1, no clean session, no keep-alive. */
function connectPacket(clientId: string): Buffer {
  return packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, 0, 0, 0]), text(clientId)]))
}

/** A short packet: its length fits one byte. */
function packet(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, body.length]), body])
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([0, bytes.length]), bytes])
}
