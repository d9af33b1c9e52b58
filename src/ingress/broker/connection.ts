import { getEventListeners, setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'
import type { Peer, Permissions } from '../../identity/policies/access.ts'
import { createAnswerQueue } from './answer-queue.ts'
import type { AnswerQueue } from './answer-queue.ts'
import type { Gate, GateSocket } from '../gate/gate.ts'
import type { HeldPublish } from '../gate/held-bytes.ts'
import type { Keep } from '../kept/keeping.ts'
import { createReceivedIds } from '../kept/received-ids.ts'
import type { DisconnectReason, LifecycleOfConnection } from './lifecycle-events.ts'
import type { ReceivedIds } from '../kept/received-ids.ts'
import type { Mqtt5Connection } from '../mqtt5/mqtt5-connection.ts'
import type { Mqtt5Subscriber } from './mqtt5-subscriber.ts'
import type { Session } from '../kept/sessions.ts'
import type { Member } from '../sharing/member.ts'

/** Of a WebSocket it knows none. */
type ConnectionSocket = GateSocket &
  Partial<Readonly<Pick<Socket, 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort'>>>

/** The state of one network connection, beside Aedes' client. */
export interface Connection {
  readonly gate: Gate
  readonly peer: Peer
  /** Set when the CONNECT is admitted; until then the client may do nothing. */
  permissions: Permissions | undefined
  /** The will of the CONNECT, which the policies must allow before it is admitted. */
  will: { readonly topic: string; readonly retain: boolean } | undefined
  /** The client tried to publish a forbidden message; nothing that follows is taken. */
  isForbidden: boolean
  /** Some filters of the session are no longer allowed. */
  hasLostFilters: boolean
  readonly answers: AnswerQueue
  /** The packet ids of the session; those of the connection alone until a session is resumed. */
  received: ReceivedIds
  /**
   * The PUBLISHes that Aedes may answer and has not distributed yet. The key is the packet, because
   * the next PUBLISH with the same packet id may come before this one is looked up. PUBLISHes that
   * Aedes drops, because the connection closes before they are answered, are freed with the
   * connection. A `Map` with thousands of insertions and removals a second would promote its
   * entries to V8's old generation: V8 links outgrown hash tables, and an old one keeps the newer
   * ones alive.
   */
  readonly undistributed: WeakMap<object, HeldPublish>
  /** The broker's number of the message that was last handed to a client of MQTT 3.1.1. */
  latestCounter: number
  /** Of the PUBLISHes that are acknowledged and not distributed yet; made for the first of them. */
  keeps: Set<Keep> | undefined
  /** The granted topic filters. */
  readonly filters: Set<string>
  /** Undefined for a clean session of MQTT 3.1.1. */
  session: Session | undefined
  /** The client of MQTT 3.1.1 is still getting what its session owed it when it connected. */
  isEmptyingQueue: boolean
  hasEmptiedQueue(): void
  /** Undefined for a client of MQTT 3.1.1. */
  mqtt5: Mqtt5Connection | undefined
  /** Set together with `mqtt5`. */
  subscriber: Mqtt5Subscriber | undefined
  /** Set while the client has shared subscriptions, or had one on this connection. */
  member: Member | undefined
  /** CONNACK of MQTT 5 is sent, but an earlier connection of the client is not closed yet. */
  opensLater: boolean
  keepAliveSeconds: number
  /** Why the CONNECT is to be answered "identifier rejected". */
  identifierFault: string | undefined
  /** Knows its addresses while it is open. */
  readonly socket: ConnectionSocket
  /** When the client was accepted, in epoch milliseconds. */
  connectedSinceMs: number
  /** PUBLISHes that the client has sent. */
  messagesIn: number
  /** PUBLISHes to a client of MQTT 3.1.1. */
  messagesOut: number
  /** Counted in the gauge of connections. */
  counted: boolean
  closed: boolean
  /** Aborts when the connection closes; made for the first message that waits for room. */
  readonly signal: AbortSignal
  /** Whether a message waits for room in the outbox. */
  waitsForRoom(): boolean
  /** To be called once `closed` is set: drops the messages that wait for room. */
  dropWaiting(): void
  /** The client has gone, or has closed its side and sends nothing more. */
  hasGone: boolean
  /** Called when that happens, while work waits on behalf of the client. */
  onGone: (() => void) | undefined
  /** The will must not be published. */
  isWillPrevented: boolean
  /** Aedes has ended the connection for a fault, which is reported. */
  faulted: boolean
  /** Set while it is told to be connected. */
  lifecycle: LifecycleOfConnection | undefined
  /** Why the broker ends it; the first reason counts. */
  endReason: DisconnectReason | undefined
}

export function createConnection(gate: Gate, peer: Peer, socket: ConnectionSocket): Connection {
  return new OpenConnection(gate, peer, socket)
}

/**
 * A class, because thousands of them are open: V8 makes a dictionary of a literal with an accessor,
 * which is five times as large, and slower for every message.
 */
class OpenConnection implements Connection {
  readonly gate: Gate
  readonly peer: Peer
  readonly socket: ConnectionSocket
  connectedSinceMs = 0
  messagesIn = 0
  messagesOut = 0
  permissions: Permissions | undefined
  will: Connection['will']
  isForbidden = false
  hasLostFilters = false
  readonly answers = createAnswerQueue()
  received = createReceivedIds()
  readonly undistributed = new WeakMap<object, HeldPublish>()
  latestCounter = 0
  keeps: Set<Keep> | undefined
  readonly filters = new Set<string>()
  session: Session | undefined
  isEmptyingQueue = false
  mqtt5: Mqtt5Connection | undefined
  subscriber: Mqtt5Subscriber | undefined
  member: Member | undefined
  opensLater = false
  keepAliveSeconds = 0
  identifierFault: string | undefined
  counted = false
  closed = false
  hasGone = false
  onGone: (() => void) | undefined
  isWillPrevented = false
  faulted = false
  lifecycle: LifecycleOfConnection | undefined
  endReason: DisconnectReason | undefined
  private ended: AbortController | undefined

  constructor(gate: Gate, peer: Peer, socket: ConnectionSocket) {
    this.gate = gate
    this.peer = peer
    this.socket = socket
  }

  hasEmptiedQueue(): void {
    this.isEmptyingQueue = false
  }

  get signal(): AbortSignal {
    if (this.ended === undefined) {
      this.ended = new AbortController()
      setMaxListeners(0, this.ended.signal)
      if (this.closed) this.ended.abort()
    }
    return this.ended.signal
  }

  waitsForRoom(): boolean {
    const { ended } = this
    return ended !== undefined && getEventListeners(ended.signal, 'abort').length > 0
  }

  dropWaiting(): void {
    this.ended?.abort()
  }
}

/** @returns the IPv4 address of an IPv4-mapped IPv6 address (`::ffff:192.0.2.1`), else the same */
export function normalizeAddress(address: string | undefined): string | undefined {
  const mapped = address?.match(/^::ffff:(\d+\.\d+\.\d+\.\d+)$/i)
  return mapped?.[1] ?? address
}
