import type { PublishPacket } from 'aedes'
import type { Clock } from '../../base/clock.ts'
import { shorten } from '../../base/errors.ts'
import { packetType, typeOf } from '../gate/frames.ts'
import type { Dialect } from '../gate/dialect.ts'
import type { GateFault } from '../gate/gate.ts'
import { createClientPackets } from './client-packets.ts'
import type { ClientPacketsOptions, Mqtt5Handlers } from './client-packets.ts'
import type { Mqtt5Connect, Mqtt5Will } from './connect.ts'
import { createFarewell } from './farewell.ts'
import type { Farewell } from './farewell.ts'
import { createPlainCheck, receivePublish, rewritePublish } from './incoming-publish.ts'
import type { NarrowedProperty, Refusal } from './incoming-publish.ts'
import { acknowledgement, connack, disconnect, refusingConnack } from './packets-out.ts'
import { maximumPacketSize } from './profile.ts'
import { malformed } from './properties.ts'
import { codeOfFault, codeOfReturnCode } from './reason-codes.ts'
import { createReceiveWindow } from './receive-window.ts'

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
  readonly dropWill: () => void
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
  readonly endWithFault: (fault: GateFault) => void
  /** Another connection of the client is accepted: the reason if no other is given. */
  readonly expectTakeover: () => void
  readonly write: (bytes: Buffer) => void
}

interface Mqtt5Dependencies {
  readonly clock: Clock
  readonly handlers: Mqtt5Handlers
  readonly write: (bytes: Buffer) => void
  /** The client does not get what it asked for. */
  readonly narrowed: NarrowedProperty
}

export function createMqtt5Connection(
  { clock, handlers, write, narrowed }: Mqtt5Dependencies,
  options: ClientPacketsOptions,
): Mqtt5Connection {
  const { profile } = options
  const aliases = new Map<number, string>()
  const window = createReceiveWindow(profile.receiveMaximum)
  const farewell = createFarewell()
  const packets = createClientPackets({ handlers, window, farewell }, options)
  const { state } = packets
  const frameBytesMax = maximumPacketSize(options.payloadBytesMax)

  function connackOf(returnCode: number): Buffer {
    if (returnCode !== 0) return refusingConnack(codeOfReturnCode(returnCode), undefined)
    return connack(connection.isSessionPresent, {
      ...profile,
      ...keepAliveOf(profile, state.connect),
      sessionExpirySeconds: state.sessionExpirySeconds,
      maximumPacketSize: frameBytesMax,
      assignedClientId: state.assignedClientId,
    })
  }

  const connection: Mqtt5Connection = {
    frameBytesMax,
    read: (bytes, offset, length) =>
      typeOf(bytes, offset) === packetType.publish
        ? window.read(bytes, offset, length)
        : findPingFault(bytes, offset, length),
    isPlain: createPlainCheck(options),
    translate(frame) {
      const isPublish = state.connect !== undefined && typeOf(frame, 0) === packetType.publish
      return isPublish ? rewritePublish(frame, options, aliases) : packets.take(frame)
    },
    written: (bytes) => farewell.written(bytes, connackOf),
    lastPacket: () => lastPacket(farewell, state.connect),
    get connect() {
      return state.connect
    },
    get sessionExpirySeconds() {
      return state.sessionExpirySeconds
    },
    get will() {
      return state.will
    },
    dropWill: packets.dropWill,
    isSessionPresent: false,
    receive: (packet) => receivePublish(packet, { profile, narrowed }, clock.monotonicMs()),
    acknowledged({ qos }) {
      if (qos === 1) window.acknowledged()
    },
    refuse({ qos, messageId = 0 }, { code, detail }) {
      if (qos === 1) window.acknowledged()
      else window.released(messageId)
      const kind = qos === 1 ? 'puback' : 'pubrec'
      const text = state.connect?.wantsProblemInformation === false ? undefined : detail
      const packet: Packet = (given) => acknowledgement(kind, messageId, code, given)
      write(fit(packet, textOf(kind.toUpperCase(), text), state.connect?.maximumPacketSize))
    },
    endWith: farewell.endWith,
    endWithFault: (fault) => farewell.endWith(codeOfFault(fault), fault.detail),
    expectTakeover: farewell.expectTakeover,
    write,
  }
  return connection
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
