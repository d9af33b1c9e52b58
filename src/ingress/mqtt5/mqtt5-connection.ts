import type { PublishPacket } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import { shorten } from '../../base/errors.ts'
import { packetType, typeOf } from '../gate/frames.ts'
import type { FrameFault } from '../gate/frames.ts'
import type { Dialect } from '../gate/dialect.ts'
import type { GateFault } from '../gate/gate.ts'
import { takePacket } from './client-packets.ts'
import type { ClientPacketsOptions, ClientState, Mqtt5Handlers } from './client-packets.ts'
import type { Mqtt5Connect, Mqtt5Will } from './connect.ts'
import { createFarewell } from './farewell.ts'
import type { Farewell } from './farewell.ts'
import { isSoundPublish, receivePublish, rewritePublish } from './incoming-publish.ts'
import type { Aliases, NarrowingClient, Refusal } from './incoming-publish.ts'
import { acknowledgement, connack, disconnect, refusingConnack } from './packets-out.ts'
import { maximumPacketSize } from './profile.ts'
import { malformed } from './properties.ts'
import { codeOfFault, codeOfReturnCode } from './reason-codes.ts'
import { createReceiveWindow } from './receive-window.ts'
import type { ReceiveWindow } from './receive-window.ts'

/**
 * One connection of a client of MQTT 5. What belongs to the connection alone lives here: topic
 * aliases, the receive maximum of the broker, packet sizes, reason codes, and the packets that end
 * it. What belongs to its session is kept beside those of MQTT 3.1.1.
 */
export interface Mqtt5Connection extends Dialect {
  /** Undefined until the CONNECT is read. */
  readonly connect: Mqtt5Connect | undefined
  /** How long the session waits for its client when the connection is gone, in seconds. */
  readonly sessionExpirySeconds: number
  /** Undefined when there is none, or when DISCONNECT has deleted it. */
  readonly will: Mqtt5Will | undefined
  /** The will is not to be published. */
  dropWill(): void
  /** Whether CONNACK says that there is a session. */
  isSessionPresent: boolean
  /** Takes the properties off a PUBLISH. @returns why it is not taken */
  receive(packet: PublishPacket): Refusal | undefined
  /** A PUBLISH is being acknowledged, so that the client may send another one. */
  acknowledged(packet: PublishPacket): void
  /** Answers a PUBLISH of QoS 1 or 2 with a reason code, after which it is not sent again. */
  refuse(packet: PublishPacket, refusal: Refusal): void
  /** Why the connection is about to end; the first reason counts. */
  endWith(code: number, detail?: string): void
  /** The same for a fault that the gate has found. */
  endWithFault(fault: GateFault): void
  /** Another connection of the client is accepted: the reason if no other is given. */
  expectTakeover(): void
  write(bytes: Buffer): void
}

interface Mqtt5Dependencies {
  readonly clock: Clock
  /** Of the client: all that is different from one connection to another. */
  readonly client: Mqtt5Handlers & NarrowingClient & { write(bytes: Buffer): void }
}

export function createMqtt5Connection(
  dependencies: Mqtt5Dependencies,
  options: ClientPacketsOptions,
): Mqtt5Connection {
  return new Translation(dependencies, options)
}

/** A class, because thousands of them are open: its functions are not made for each. */
class Translation implements Mqtt5Connection, ClientState {
  connect: Mqtt5Connect | undefined
  assignedClientId: string | undefined
  sessionExpirySeconds = 0
  will: Mqtt5Will | undefined
  isSessionPresent = false
  readonly handlers: Mqtt5Dependencies['client']
  readonly window: ReceiveWindow
  readonly farewell = createFarewell()
  /** Made for the first PUBLISH that has one. */
  private aliases: Aliases | undefined
  private readonly clock: Clock
  private readonly options: ClientPacketsOptions

  constructor({ clock, client }: Mqtt5Dependencies, options: ClientPacketsOptions) {
    this.clock = clock
    this.handlers = client
    this.options = options
    this.window = createReceiveWindow(options.profile.receiveMaximum)
  }

  get frameBytesMax(): number {
    return maximumPacketSize(this.options.payloadBytesMax)
  }

  read(bytes: Buffer, offset: number, length: number) {
    return typeOf(bytes, offset) === packetType.publish
      ? this.window.read(bytes, offset, length)
      : findPingFault(bytes, offset, length)
  }

  isPlain(bytes: Buffer, offset: number, length: number): boolean {
    return isSoundPublish(bytes, offset, length, this.options)
  }

  translate(frame: Buffer): Buffer | FrameFault {
    const isPublish = this.connect !== undefined && typeOf(frame, 0) === packetType.publish
    if (!isPublish) return takePacket(this, this.options, frame)
    this.aliases ??= new Map()
    return rewritePublish(frame, this.options, this.aliases)
  }

  written(bytes: Buffer): Buffer {
    const { farewell } = this
    if (farewell.phase !== 'connecting') return bytes
    return farewell.written(bytes, (returnCode) => this.connackOf(returnCode))
  }

  lastPacket(hasClientEnded: boolean): Buffer | undefined {
    const { farewell } = this
    // Nothing but its client ends it.
    if (hasClientEnded && farewell.code === undefined) return undefined
    return lastPacket(farewell, this.connect)
  }

  dropWill(): void {
    this.will = undefined
  }

  receive(packet: PublishPacket): Refusal | undefined {
    return receivePublish(packet, this.options.profile, this.handlers, this.clock.monotonicMs())
  }

  acknowledged({ qos }: PublishPacket): void {
    if (qos === 1) this.window.acknowledged()
  }

  refuse({ qos, messageId = 0 }: PublishPacket, { code, detail }: Refusal): void {
    if (qos === 1) this.window.acknowledged()
    else this.window.released(messageId)
    const kind = qos === 1 ? 'puback' : 'pubrec'
    const text = this.connect?.wantsProblemInformation === false ? undefined : detail
    const packet: Packet = (given) => acknowledgement(kind, messageId, code, given)
    this.write(fit(packet, textOf(kind.toUpperCase(), text), this.connect?.maximumPacketSize))
  }

  endWith(code: number, detail?: string): void {
    this.farewell.endWith(code, detail)
  }

  endWithFault(fault: GateFault): void {
    this.farewell.endWith(codeOfFault(fault), fault.detail)
  }

  expectTakeover(): void {
    this.farewell.expectTakeover()
  }

  write(bytes: Buffer): void {
    this.handlers.write(bytes)
  }

  private connackOf(returnCode: number): Buffer {
    if (returnCode !== 0) return refusingConnack(codeOfReturnCode(returnCode), undefined)
    const { profile } = this.options
    return connack(this.isSessionPresent, {
      ...profile,
      ...keepAliveOf(profile, this.connect),
      sessionExpirySeconds: this.sessionExpirySeconds,
      maximumPacketSize: this.frameBytesMax,
      assignedClientId: this.assignedClientId,
    })
  }
}

/** DISCONNECT, or the CONNACK that refuses; undefined where the client gets neither. */
function lastPacket(
  { phase, code, fallback, detail }: Farewell,
  connect: Mqtt5Connect | undefined,
): Buffer | undefined {
  const bytesMax = connect?.maximumPacketSize
  if (phase === 'open') {
    const text = textOf('DISCONNECT', detail)
    return fit((given) => disconnect(code ?? fallback, given), text, bytesMax)
  }
  if (phase !== 'connecting' || code === undefined) return undefined
  return fit((given) => refusingConnack(code, given), textOf('CONNACK', detail), bytesMax)
}

const pingRequest = 0xc0

/** PINGREQs are answered before any other check. */
function findPingFault(bytes: Buffer, offset: number, length: number) {
  if (typeOf(bytes, offset) !== packetType.pingreq) return undefined
  const isSound = bytes[offset] === pingRequest && length === 2
  return isSound ? undefined : malformed('a PINGREQ with flags or a body')
}

/** Makes a packet with this Reason String, or without one. */
type Packet = (text: string | undefined) => Buffer

const reasonTextMax = 200

/** AWS IoT gives its reasons in this form, too. */
const textOf = (packetName: string, detail: string | undefined): string | undefined =>
  detail === undefined ? undefined : shorten(`${packetName}:${detail}`, reasonTextMax)

/** Leaves the Reason String out where it would make the packet too large, [MQTT-3.1.2-24]. */
function fit(packet: Packet, text: string | undefined, bytesMax = Infinity): Buffer {
  const whole = packet(text)
  return whole.length <= bytesMax ? whole : packet(undefined)
}

function keepAliveOf(
  { keepAlive, alwaysTellsKeepAlive }: ClientPacketsOptions['profile'],
  connect: Mqtt5Connect | undefined,
) {
  const asked = connect?.keepAliveSeconds ?? 0
  const inForce = keepAlive(asked)
  return { serverKeepAlive: alwaysTellsKeepAlive || inForce !== asked ? inForce : undefined }
}
