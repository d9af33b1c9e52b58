import { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import type { Clock } from '../clock.ts'
import { createFrameReader } from './frame-reader.ts'
import { findFrameFault, frameLength, packetType, pubrelPacketId, typeOf } from './frames.ts'
import type { FrameFault } from './frames.ts'
import { createKeepAlive } from './keep-alive.ts'

/**
 * The gate stands between a client's socket and Aedes, which is given `gate.stream` in place of
 * the socket. It passes whole frames, in order, and keeps these invariants:
 *
 * - Nothing is gathered that is over a limit: a frame that is too large ends the connection at its
 *   fixed header, before as after authentication.
 * - The first frame is a CONNECT, and nothing follows it until `open()`.
 * - At most `unfinishedMax` PUBLISHes are with Aedes and the engine. More are read ahead up to
 *   `readAheadBytesMax`; the rest waits in TCP, and so does the client.
 * - A client that waits stays alive. PINGREQs are answered here, also those behind frames that
 *   wait; while PINGREQs themselves may wait in TCP, PINGRESPs go out unasked. The keepalive of a
 *   client that is not read from does not run (TCP's own finds a dead peer).
 * - What ends the connection, a fault, DISCONNECT or the end of the stream, takes its place behind
 *   the frames before it and their answers. So one bad message cannot make a client send the good
 *   ones before it again for ever.
 *
 *   socket -> partial (a frame not whole yet) -> held (runs of whole frames) -> stream -> Aedes
 */
export interface Gate {
  /** For `broker.handle()`. */
  readonly stream: Duplex
  /** PUBLISHes passed on and not finished. */
  readonly unfinished: number
  /** The client is accepted: what follows its CONNECT may pass. 0 seconds is no keepalive. */
  open(keepAliveSeconds: number): void
  /** A PUBLISH that was passed on is answered and distributed. */
  finish(): void
  /** No further PUBLISH, or anything else of this client, passes. */
  hold(): void
}

export interface GateEvents {
  /** The client broke a limit or the protocol; the connection ends right after. */
  fault(fault: FrameFault): void
  /** The client ends its handshake of a QoS 2 message, and may use the packet id anew. */
  publishReleased(packetId: number): void
  keepAliveTimedOut(): void
  /** Once, after which nothing is read or written. */
  closed(): void
}

export interface GateLimits {
  readonly payloadBytesMax: number
  readonly unfinishedMax: number
  readonly readAheadBytesMax: number
  /** How long the last bytes may take to leave before the socket is cut. */
  readonly closeTimeoutMs: number
}

const pingResponse = Buffer.from([0xd0, 0])
const pingResponses = (count: number): Buffer =>
  count === 1 ? pingResponse : Buffer.alloc(pingResponse.length * count, pingResponse)

export function createGate(
  deps: { readonly socket: Socket; readonly clock: Clock; readonly events: GateEvents },
  limits: GateLimits,
): Gate {
  const { socket, clock, events } = deps
  let phase: 'connect' | 'connack' | 'open' | 'holding' | 'closed' = 'connect'
  const held: Buffer[] = []
  let heldBytes = 0
  /** Why the connection ends once all that is held has passed and is finished. */
  let ending: FrameFault | 'end of stream' | undefined
  let wanted = false
  let unfinished = 0
  let flushPlanned = false
  const frames = createFrameReader(limits.payloadBytesMax)
  const keepAlive = createKeepAlive(clock, {
    isWaiting: () => socket.isPaused(),
    ping: () => answerPings(1),
    timedOut() {
      events.keepAliveTimedOut()
      stream.destroy()
    },
  })
  const stream = createStream(socket, {
    wanted() {
      wanted = true
      flush()
    },
    destroyed: close,
  })

  function receive(chunk: Buffer): void {
    keepAlive.heard()
    if (ending !== undefined || phase === 'closed') return
    const read = frames.read(chunk, phase === 'open' || phase === 'holding')
    for (const run of read.runs) {
      held.push(run)
      heldBytes += run.length
    }
    ending = read.fault
    if (read.pings > 0) answerPings(read.pings)
    flush()
  }

  function answerPings(count: number): void {
    // A client that does not read its answers gets no more of them.
    if (!stream.writableNeedDrain) stream.write(pingResponses(count))
  }

  function flush(): void {
    flushPlanned = false
    for (let run = held[0]; wanted && run !== undefined; run = held[0]) {
      const { bytes, fault } = admit(run)
      if (bytes > 0) {
        wanted = stream.push(bytes === run.length ? run : run.subarray(0, bytes))
        heldBytes -= bytes
      }
      if (fault !== undefined) {
        ending = fault
        held.length = 0
      } else if (bytes === run.length) {
        held.shift()
      } else {
        held[0] = run.subarray(bytes)
        break
      }
    }
    if (held.length === 0 && unfinished === 0 && ending !== undefined) end(ending)
    pauseOrResume()
  }

  /** How many bytes of the run may pass now: whole frames, up to the first that has to wait. */
  function admit(run: Buffer): { bytes: number; fault?: FrameFault } {
    let offset = 0
    while (offset < run.length && (phase === 'connect' || phase === 'open')) {
      const length = frameLength(run, offset)
      const type = typeOf(run, offset)
      if (phase === 'connect') {
        if (type !== packetType.connect) return { bytes: offset, fault: notConnect }
        phase = 'connack'
      } else {
        const fault = findFrameFault(run, offset, length, limits.payloadBytesMax)
        if (fault !== undefined) return { bytes: offset, fault }
        if (type === packetType.publish) {
          if (unfinished >= limits.unfinishedMax) break
          unfinished++
        }
        if (type === packetType.disconnect && unfinished > 0) break
        if (type === packetType.pubrel) events.publishReleased(pubrelPacketId(run, offset))
      }
      offset += length
    }
    return { bytes: offset }
  }

  function end(reason: FrameFault | 'end of stream'): void {
    if (phase === 'closed') return
    if (reason === 'end of stream') {
      stream.push(null)
    } else {
      events.fault(reason)
      stream.destroy()
    }
  }

  function pauseOrResume(): void {
    const full = ending !== undefined || heldBytes > limits.readAheadBytesMax
    if (phase === 'closed' || full === socket.isPaused()) return
    if (full) socket.pause()
    else socket.resume()
  }

  function close(): void {
    phase = 'closed'
    held.length = 0
    keepAlive.stop()
    socket.destroySoon()
    socket.once(
      'close',
      clock.after(limits.closeTimeoutMs, () => socket.destroy()),
    )
    events.closed()
  }

  socket.on('data', receive)
  socket.once('end', () => {
    ending ??= 'end of stream'
    flush()
  })
  // A reset by the peer is no fault of ours, and says nothing that 'close' does not.
  socket.on('error', () => stream.destroy())
  socket.once('close', () => stream.destroy())

  return {
    stream,
    get unfinished() {
      return unfinished
    },
    open(keepAliveSeconds) {
      if (phase !== 'connack') return
      phase = 'open'
      keepAlive.start(keepAliveSeconds)
      flush()
    },
    finish() {
      unfinished--
      if (flushPlanned || phase === 'closed') return
      flushPlanned = true
      // Answers come many in a tick: one flush then passes on as many frames in one run.
      process.nextTick(flush)
    },
    hold() {
      if (phase !== 'closed') phase = 'holding'
    },
  }
}

/** The side of the gate that Aedes sees: a stream that pulls from the gate and writes through. */
function createStream(socket: Socket, events: { wanted(): void; destroyed(): void }): Duplex {
  function writeThrough(bytes: Buffer, done: () => void): void {
    if (!socket.writable || socket.write(bytes)) done()
    else socket.once('drain', done)
  }
  return new Duplex({
    read() {
      events.wanted()
    },
    write(chunk: Buffer, _encoding, done) {
      writeThrough(chunk, done)
    },
    // Aedes corks its writes for a tick, so the answers of a tick leave in one piece.
    writev(chunks, done) {
      writeThrough(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), done)
    },
    destroy(error, done) {
      events.destroyed()
      done(error)
    },
  })
}

/** [MQTT-3.1.0-1] */
const notConnect: FrameFault = Object.freeze({
  reason: 'not_connect',
  detail: 'the first packet is not CONNECT',
})
