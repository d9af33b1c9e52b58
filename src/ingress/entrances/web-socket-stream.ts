import { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import type { RawData } from 'ws'
import type { GateSocket } from '../gate/gate.ts'
import type { EvictReason, HeldBytes } from '../gate/held-bytes.ts'
import { createFrameFollower } from './web-socket-frames.ts'

/**
 * Turns a WebSocket into the stream of bytes that the gate uses as a socket. MQTT packets need not
 * be aligned with WebSocket frames [MQTT-6.0.0-2], so the bytes are one stream.
 *
 *   TCP -> arriving (a partial frame) -> the stream's buffer -> gate
 *
 * Invariants:
 * - While the gate does not read, at most one more chunk is read from TCP.
 * - The bytes of `arriving` and of the buffer are counted by the rules of `held-bytes.ts`.
 * - A write is done when TCP has taken it, so that a client that does not read holds its writers
 *   back.
 * - A text frame ends the connection [MQTT-6.0.0-1]. A connection ends with a close frame, and the
 *   answer to it may take as long as the gate waits.
 */
interface WebSocketStreamDependencies {
  readonly webSocket: WebSocket
  /** The socket of the WebSocket. */
  readonly socket: Socket
  readonly heldBytes: HeldBytes
  readonly fault: (reason: 'web_socket_protocol' | EvictReason, detail: string) => void
}

const evictDetails: Readonly<Record<EvictReason, string>> = Object.freeze({
  held_bytes: 'the memory for messages is full, and its frame had been incomplete for longest',
  packet_timeout: 'the rest of a WebSocket frame did not arrive in time',
})
const normalClosure = 1_000
const unsupportedData = 1_003

export function createWebSocketStream(dependencies: WebSocketStreamDependencies): GateSocket {
  const { webSocket, socket, heldBytes, fault } = dependencies
  let isWanted = false
  /** Nothing more is taken from the client. */
  let isBroken = false
  let messagesSeen = 0
  const part = { hasCome: false }
  const arriving = createFrameFollower()
  const share = heldBytes.join({
    changed: pauseOrResume,
    isReading: () => isWanted && share.mayRead,
    evict(reason) {
      fault(reason, evictDetails[reason])
      webSocket.terminate()
    },
  })

  function settle(): void {
    const isNewFrame = arriving.messages !== messagesSeen
    messagesSeen = arriving.messages
    share.hold(isBroken ? 0 : arriving.heldBytes, stream.readableLength, isNewFrame)
    pauseOrResume()
  }

  function pauseOrResume(): void {
    // The answer to a close frame has to be read, even while memory is full.
    if (isBroken) return
    const isRead = isWanted && share.mayRead
    if (isRead !== webSocket.isPaused) return
    if (isRead) webSocket.resume()
    else webSocket.pause()
  }

  const stream = createStream(webSocket, {
    wanted() {
      isWanted = true
      // By then the buffer no longer holds the bytes that are read now.
      process.nextTick(settle)
    },
    ending() {
      isBroken = true
    },
    destroyed: () => share.connectionGone(),
  })

  function breakOff(detail: string): void {
    isBroken = true
    fault('web_socket_protocol', detail)
    stream.push(null)
    settle()
  }

  webSocket.on('message', (data: RawData, isBinary: boolean) => {
    if (isBroken || stream.destroyed) return
    if (isBinary) {
      if (!stream.push(data)) isWanted = false
      return
    }
    breakOff('a text frame: MQTT is binary')
    webSocket.close(unsupportedData)
  })
  // Runs after the library's own listener, which has emitted the messages of the chunk.
  socket.on('data', (chunk: Buffer) => {
    if (isBroken || stream.destroyed) return
    arriving.follow(chunk)
    part.hasCome = arriving.heldBytes > 0
    settle()
  })
  webSocket.on('error', (error) => {
    if (!isBroken) breakOff(error.message)
  })
  webSocket.once('close', () => {
    if (!stream.destroyed && !isBroken) stream.push(null)
  })
  return asGateSocket(stream, {
    excusesSilence: () => takePart(part) || !share.mayRead,
    hasPart: () => arriving.heldBytes > 0,
  })
}

/** @returns whether a part has come since the last call */
function takePart(part: { hasCome: boolean }): boolean {
  const { hasCome } = part
  part.hasCome = false
  return hasCome
}

function asGateSocket(
  stream: Duplex,
  waits: Required<Pick<GateSocket, 'excusesSilence' | 'hasPart'>>,
): GateSocket {
  return Object.assign(stream, {
    ...waits,
    destroySoon() {
      if (stream.writableFinished) stream.destroy()
      else stream.once('finish', () => stream.destroy()).end()
    },
  })
}

/** The side that the gate sees. */
function createStream(
  webSocket: WebSocket,
  events: { wanted(): void; ending(): void; destroyed(): void },
): Duplex {
  function send(bytes: Buffer, done: () => void): void {
    // A client that has closed is sent nothing more; the bytes that it sent before are still taken.
    if (webSocket.readyState !== WebSocket.OPEN) done()
    else webSocket.send(bytes, { binary: true }, () => done())
  }
  return new Duplex({
    read: () => events.wanted(),
    write(chunk: Buffer, _encoding, done) {
      send(chunk, done)
    },
    writev(chunks, done) {
      send(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), done)
    },
    final(done) {
      events.ending()
      closeWebSocket(webSocket, done)
    },
    destroy(error, done) {
      events.destroyed()
      webSocket.terminate()
      done(error)
    },
  })
}

/** Sends a close frame; calls `done` when the other side has answered, or is gone. */
function closeWebSocket(webSocket: WebSocket, done: () => void): void {
  if (webSocket.readyState === WebSocket.CLOSED) {
    done()
    return
  }
  webSocket.once('close', () => done())
  webSocket.close(normalClosure)
  webSocket.resume()
}
