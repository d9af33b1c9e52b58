import { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import type { FrameFault, FrameLimits } from './frames.ts'
import type { HeldBytes, HeldPublish } from './held-bytes.ts'
import { createFrameReadAhead } from './read-ahead.ts'
import { createKeepAlive } from './keep-alive.ts'
import type { KeepAlive } from './keep-alive.ts'

/**
 * The gate stands between a client's socket and Aedes, which is given `gate.stream` in place of
 * the socket. It passes whole frames, in order, and keeps these invariants:
 *
 * - Nothing is gathered that is over a limit: a frame that is too large ends the connection at its
 *   fixed header, before as after authentication.
 * - The first frame is a CONNECT, and nothing follows it until `open()`.
 * - At most `unfinishedMax` PUBLISHes are with Aedes and the engine. More are read ahead up to
 *   `readAheadBytesMax`; the rest waits in TCP, and so does the client. What all clients hold
 *   together has its own bound, in `held-bytes.ts`, and how many a second of one client pass may be
 *   bounded, in `publish-rate.ts`.
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
  /**
   * The client has sent DISCONNECT, which may still wait here: however the connection ends, its
   * will is not to be published, [MQTT-3.1.2-10].
   */
  readonly hasDisconnect: boolean
  /** Its CONNECT has been read; it may still wait to be looked at. */
  hasBegun(): boolean
  /** The client is accepted: what follows its CONNECT may pass. 0 seconds is no keepalive. */
  open(keepAliveSeconds: number): void
  /**
   * Aedes has come to a PUBLISH that was passed on: it may read on without waiting for it.
   *
   * @param bytes the length of its frame, as `countedBytes` has it
   * @returns what is held of it, until `finish`
   */
  dispatched(bytes: number): HeldPublish
  /** Aedes is let to answer it: it goes with the connection, unless it comes to be distributed. */
  readonly answering: (publish: HeldPublish) => void
  /** It is handed to the subscribers, whether the connection stands or not. */
  readonly distributing: (publish: HeldPublish) => void
  /** It is answered and distributed, or will never be. The second time it is without effect. */
  finish(publish: HeldPublish): void
  /** Nothing more of this client passes. */
  readonly hold: () => void
}

interface GateEvents {
  /** Why the gate ends the connection, right after. */
  fault(fault: GateFault): void
  /** Once, after which nothing is read or written. */
  closed(): void
}

export interface GateFault extends Omit<FrameFault, 'reason'> {
  readonly reason: FrameFault['reason'] | 'keepalive_timeout' | 'held_bytes' | 'not_draining'
}

export interface GateLimits extends FrameLimits {
  readonly unfinishedMax: number
  readonly readAheadBytesMax: number
  /** PUBLISHes in a second; 0 is no limit. */
  readonly publishRate: number
  /** How long the last bytes may take to leave before the socket is cut. */
  readonly closeTimeoutMs: number
}

const keepAliveTimeout: GateFault = Object.freeze({
  reason: 'keepalive_timeout',
  detail: 'nothing came for one and a half times the keepalive',
})
const heldTooLong: GateFault = Object.freeze({
  reason: 'held_bytes',
  detail: 'the memory for messages is full, and its packet was the longest under way',
})
const pingResponse = Buffer.from([0xd0, 0])

/** What a client is connected by: TCP, TLS, or a WebSocket as a stream of its bytes. */
export interface GateSocket extends Duplex, Pick<Socket, 'destroySoon'> {
  /**
   * Whether the client's silence says nothing, though the gate would read: it is not read from, or has
   * sent a part, since this was asked last, of what is given to the gate as a whole.
   */
  readonly excusesSilence?: () => boolean
}

interface GateDependencies {
  readonly socket: GateSocket
  readonly clock: Clock
  readonly events: GateEvents
  readonly heldBytes: HeldBytes
}

export function createGate(dependencies: GateDependencies, limits: GateLimits): Gate {
  const { socket, clock, events } = dependencies
  const evict = () => end(stream, events, heldTooLong)
  // Answers come many in a tick: one flush then passes on as many frames in one buffer.
  const planFlush = oncePerTick(() => flush())
  const frames = createFrameReadAhead({ ...dependencies, changed: planFlush, evict }, limits)
  let wanted = false

  const stream = createStream(socket, {
    wanted() {
      wanted = true
      flush()
    },
    destroyed() {
      keepAlive.stop()
      frames.drop()
      closeSocket(socket, clock, limits.closeTimeoutMs)
      events.closed()
    },
  })
  const keepAlive = keepAliveOf(stream, dependencies)

  function flush(): void {
    if (stream.destroyed) return
    for (let run = wanted && frames.take(); run; run = wanted && frames.take()) {
      wanted = stream.push(run)
    }
    const { ending } = frames
    if (ending !== undefined) end(stream, events, ending)
    setPaused(socket, !frames.settle())
  }

  const readOn = createReadOn(stream)
  bindSocket(socket, {
    receive(chunk) {
      keepAlive.heardAtMs = clock.monotonicMs()
      if (stream.destroyed) return
      answerPings(stream, frames.read(chunk))
      flush()
    },
    receiveEnd() {
      frames.endOfStream()
      flush()
    },
    gone: () => stream.destroy(),
  })
  return {
    stream,
    get unfinished() {
      return frames.unfinished
    },
    get hasDisconnect() {
      return frames.hasDisconnect
    },
    hasBegun: () => frames.hasBegun(),
    open(keepAliveSeconds) {
      frames.open()
      // It could not say anything while its login took its time.
      keepAlive.heardAtMs = clock.monotonicMs()
      keepAlive.start(keepAliveSeconds)
      flush()
    },
    dispatched(bytes) {
      readOn()
      return frames.dispatched(bytes)
    },
    answering: (publish) => frames.answering(publish),
    distributing: (publish) => frames.distributing(publish),
    finish(publish) {
      frames.finish(publish)
      planFlush()
    },
    hold: () => frames.hold(),
  }
}

/**
 * Aedes reads again once every packet of its last read is done, and takes each 'readable' for one
 * that is. Left alone it would take the messages of a client in lots, each after the last of the
 * one before is durable: a third less throughput for a client that keeps a window of 64 full. What
 * may be under way is for the gate to say.
 */
function createReadOn(stream: Duplex): () => void {
  let packets = 0
  const readOn = (): void => {
    for (; packets > 0; packets--) stream.emit('readable')
  }
  return () => {
    // Not at once: Aedes is in the midst of what it has read.
    if (packets++ === 0) process.nextTick(readOn)
  }
}

function keepAliveOf(stream: Duplex, { socket, clock, events }: GateDependencies): KeepAlive {
  return createKeepAlive(clock, {
    isWaiting: () => socket.isPaused() || socket.excusesSilence?.() === true,
    ping: () => answerPings(stream, 1),
    timedOut: () => end(stream, events, keepAliveTimeout),
  })
}

/** Calls made in one tick come to one, at its end. */
function oncePerTick(act: () => void): () => void {
  let isPlanned = false
  const run = () => {
    isPlanned = false
    act()
  }
  return () => {
    if (isPlanned) return
    isPlanned = true
    process.nextTick(run)
  }
}

function bindSocket(
  socket: GateSocket,
  events: {
    readonly receive: (chunk: Buffer) => void
    readonly receiveEnd: () => void
    readonly gone: () => void
  },
): void {
  socket.on('data', events.receive)
  socket.once('end', events.receiveEnd)
  // A reset by the peer is no fault of ours, and says nothing that 'close' does not.
  socket.on('error', events.gone)
  socket.once('close', events.gone)
}

function setPaused(socket: GateSocket, paused: boolean): void {
  if (paused === socket.isPaused()) return
  if (paused) socket.pause()
  else socket.resume()
}

function end(stream: Duplex, events: GateEvents, reason: GateFault | 'end of stream'): void {
  if (reason === 'end of stream') {
    stream.push(null)
  } else {
    events.fault(reason)
    stream.destroy()
  }
}

function answerPings(stream: Duplex, count: number): void {
  // A client that does not read its answers gets no more of them.
  if (count === 0 || stream.destroyed || stream.writableNeedDrain) return
  stream.write(count === 1 ? pingResponse : Buffer.alloc(pingResponse.length * count, pingResponse))
}

function closeSocket(socket: GateSocket, clock: Clock, timeoutMs: number): void {
  socket.destroySoon()
  socket.once(
    'close',
    clock.after(timeoutMs, () => socket.destroy()),
  )
}

/** The side of the gate that Aedes sees: a stream that pulls from the gate and writes through. */
function createStream(socket: GateSocket, events: { wanted(): void; destroyed(): void }): Duplex {
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
      // Aedes may write to a client that has gone, one that went in the midst of its CONNECT for
      // ever, and would wait for the drain, and with it whoever publishes to that client.
      this.write = discard
      events.destroyed()
      done(error)
    },
  })
}

const discard = (): boolean => true
