import { randomUUID } from 'node:crypto'
import { bodyStart, packetType, typeOf } from '../gate/frames.ts'
import type { FrameFault } from '../gate/frames.ts'
import { connectOf311, readConnect } from './connect.ts'
import type { Mqtt5Connect, Mqtt5Will } from './connect.ts'
import type { Farewell } from './farewell.ts'
import type { PublishRules } from './incoming-publish.ts'
import {
  readAcknowledgement,
  readDisconnect,
  readSubscribe,
  readUnsubscribe,
} from './packets-in.ts'
import type { Subscribe, Unsubscribe } from './packets-in.ts'
import { acknowledgement } from './packets-out.ts'
import { malformed, protocolError } from './properties.ts'
import { reasonCode } from './reason-codes.ts'
import type { ReceiveWindow } from './receive-window.ts'

/** What the packets of a client are about. */
export interface ClientState {
  /** Undefined until the CONNECT is read. */
  connect: Mqtt5Connect | undefined
  assignedClientId: string | undefined
  /** In force: what CONNECT or DISCONNECT asks for, within the maximum. */
  sessionExpirySeconds: number
  /** Undefined when there is none, or when DISCONNECT has deleted it. */
  will: Mqtt5Will | undefined
  readonly handlers: Mqtt5Handlers
  readonly window: ReceiveWindow
  readonly farewell: Pick<Farewell, 'clientHasLeft'>
}

/** What a connection asks of the broker. */
export interface Mqtt5Handlers {
  subscribe(request: Subscribe): void
  unsubscribe(request: Unsubscribe): void
  /** PUBACK or PUBCOMP, or a PUBREC that refuses: the message is done. */
  completed(packetId: number): void
  /** PUBREC. */
  received(packetId: number): void
}

export interface ClientPacketsOptions extends PublishRules {
  readonly sessionExpirySecondsMax: number
}

const noFrames = Buffer.alloc(0)
const disconnect311 = Buffer.from([0xe0, 0])

/** Takes a packet of a client, all but PUBLISH. @returns what Aedes gets in its place */
export function takePacket(
  state: ClientState,
  options: ClientPacketsOptions,
  frame: Buffer,
): Buffer | FrameFault {
  return state.connect === undefined
    ? takeConnect(state, options, frame)
    : takeOther(state, options, frame)
}

function takeOther(
  state: ClientState,
  options: ClientPacketsOptions,
  frame: Buffer,
): Buffer | FrameFault {
  const { handlers } = state
  const type = typeOf(frame, 0)
  if (((frame[0] ?? 0) & 0x0f) !== flagsOf(type)) return wrongFlags
  const body = frame.subarray(bodyStart(frame, 0))
  switch (type) {
    case packetType.puback:
    case packetType.pubrec:
    case packetType.pubrel:
    case packetType.pubcomp:
      return takeAcknowledgement(state, options, type, body)
    case packetType.subscribe:
      return handle(readSubscribe(body), (request) => handlers.subscribe(request))
    case packetType.unsubscribe:
      return handle(readUnsubscribe(body), (request) => handlers.unsubscribe(request))
    case packetType.disconnect:
      return takeDisconnect(state, options, body)
    case packetType.connect:
      return protocolError('a second CONNECT') // [MQTT-3.1.0-2]
    case packetType.auth:
      return protocolError('AUTH without an Authentication Method in CONNECT')
    default:
      return malformed(`packet type ${type} is not a client's`)
  }
}

const wrongFlags = malformed('reserved flags of the fixed header are set')

/** [MQTT-2.1.3-1]: the flags of the fixed header. */
function flagsOf(type: number): number {
  const hasFlag =
    type === packetType.pubrel || type === packetType.subscribe || type === packetType.unsubscribe
  return hasFlag ? 2 : 0
}

function handle<Request extends object>(
  request: Request | FrameFault,
  to: (request: Request) => void,
): Buffer | FrameFault {
  if ('reason' in request) return request
  to(request)
  return noFrames
}

function takeConnect(
  state: ClientState,
  options: ClientPacketsOptions,
  frame: Buffer,
): Buffer | FrameFault {
  if (((frame[0] ?? 0) & 0x0f) !== 0) return wrongFlags
  const connect = readConnect(frame.subarray(bodyStart(frame, 0)), options)
  if ('reason' in connect) return connect
  state.connect = connect
  state.will = connect.will
  state.sessionExpirySeconds = expiryInForce(connect.sessionExpirySeconds, options)
  // Policies and logs show this id, so its prefix names the broker.
  if (connect.clientId === '') state.assignedClientId = `sluice_${randomUUID()}`
  return connectOf311(connect, {
    clientId: state.assignedClientId ?? connect.clientId,
    keepAliveSeconds: options.profile.keepAlive(connect.keepAliveSeconds),
  })
}

const expiryInForce = (seconds: number, { sessionExpirySecondsMax }: ClientPacketsOptions) =>
  Math.min(seconds, sessionExpirySecondsMax)

function takeDisconnect(
  state: ClientState,
  options: ClientPacketsOptions,
  body: Buffer,
): Buffer | FrameFault {
  const read = readDisconnect(body)
  if ('reason' in read) return read
  const { sessionExpirySeconds: asked } = read
  if (asked !== undefined) {
    // Section 3.14.2.2.2
    if (asked > 0 && state.connect?.sessionExpirySeconds === 0) {
      return protocolError('DISCONNECT gives a session an expiry that CONNECT did not give it')
    }
    state.sessionExpirySeconds = expiryInForce(asked, options)
  }
  // [MQTT-3.14.4-3]
  if (read.code === reasonCode.success) state.will = undefined
  state.farewell.clientHasLeft()
  return disconnect311
}

function takeAcknowledgement(
  { handlers, window }: ClientState,
  { profile }: ClientPacketsOptions,
  type: number,
  body: Buffer,
): Buffer | FrameFault {
  if (type !== packetType.puback && profile.maximumQos === 1) {
    return protocolError('a packet of QoS 2, which AWS IoT Core does not have')
  }
  const read = readAcknowledgement(body)
  if ('reason' in read) return read
  const { packetId, code } = read
  if (type === packetType.pubrel) {
    window.released(packetId)
    return acknowledgement('pubrel', packetId, reasonCode.success)
  }
  if (type === packetType.pubrec && code < reasonCode.unspecified) handlers.received(packetId)
  else handlers.completed(packetId)
  return noFrames
}
