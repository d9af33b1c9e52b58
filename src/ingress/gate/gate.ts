import { Duplex } from 'node:stream'
import type { Socket } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import type { Dialect } from './dialect.ts'
import type { FrameFault, FrameLimits } from './frames.ts'
import type { EvictReason, HeldBytes, HeldPublish } from './held-bytes.ts'
import { createFrameReadAhead } from './read-ahead.ts'
import { createKeepAlive } from './keep-alive.ts'
import type { KeepAlive } from './keep-alive.ts'

/**
 * The gate stands between a client's socket and Aedes, which is given `gate.stream` in place of
 * the socket. It passes whole frames, in order, and keeps these invariants:
 *
 * - Nothing over a limit is buffered: a frame that is too large ends the connection at its fixed
 *   header, before and after authentication.
 * - The first frame is a CONNECT, and nothing follows it until `open()`.
 * - At most `unfinishedMax` PUBLISHes are with Aedes and the engine. More are read ahead up to
 *   `readAheadBytesMax`; the rest waits in TCP, which holds the client back. `held-bytes.ts` bounds
 *   the bytes of all clients together and the time of a partial frame, and `publish-rate.ts` the
 *   messages a second of one client.
 * - A client that is held back stays connected. PINGREQs are answered here, also those behind
 *   frames that wait; while PINGREQs themselves may wait in TCP, PINGRESPs are sent unasked. The
 *   keepalive does not run while the client is not read from (TCP's keepalive finds a dead peer).
 * - A fault, a DISCONNECT or the end of the stream ends the connection only after the frames before
 *   it are answered. Otherwise one bad message would make a client resend the good ones before it
 *   for ever.
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
  /** The CONNECT has been read; Aedes may not have handled it yet. */
  hasBegun(): boolean
  /** The client is accepted: what follows its CONNECT may pass. 0 seconds is no keepalive. */
  open(keepAliveSeconds: number): void
  /**
   * Aedes has taken up a PUBLISH that was passed on, and may read on without waiting for it.
   *
   * @param bytes the length of its frame, as `countedBytes` has it
   * @returns the memory that it is counted for, until `finish`
   */
  dispatched(bytes: number): HeldPublish
  /**
   * Aedes may answer it now: from here on it ends with the connection, unless it is distributed.
   */
  readonly answering: (publish: HeldPublish) => void
  /** It is handed to the subscribers, whether the connection stands or not. */
  readonly distributing: (publish: HeldPublish) => void
  /** It is answered and distributed, or will never be. A second call has no effect. */
  finish(publish: HeldPublish): void
  /** Nothing more of this client passes. */
  readonly hold: () => void
}

interface GateEvents {
  /** Called with the reason right before the gate ends the connection. */
  fault(fault: GateFault): void
  /** A frame is left out, and the connection goes on. */
  readonly ignored: (fault: GateFault) => void
  /** Called once; nothing is read or written afterwards. */
  closed(): void
}

export interface GateFault extends Omit<FrameFault, 'reason'> {
  readonly reason:
    FrameFault['reason'] | EvictReason | 'held_answers' | 'keepalive_timeout' | 'not_draining'
}

export interface GateLimits extends FrameLimits {
  readonly unfinishedMax: number
  readonly readAheadBytesMax: number
  /** PUBLISHes in a second; 0 is no limit. */
  readonly publishRate: number
  /** How long the last bytes may take to be sent before the socket is destroyed. */
  readonly closeTimeoutMs: number
}

const keepAliveTimeout: GateFault = Object.freeze({
  reason: 'keepalive_timeout',
  detail: 'nothing came for one and a half times the keepalive',
})
const heldAnswers: GateFault = Object.freeze({
  reason: 'held_answers',
  detail: 'the memory for messages is full, and one of its messages waits for room in the outbox',
})
const evictDetails: Readonly<Record<EvictReason, string>> = Object.freeze({
  held_bytes: 'the memory for messages is full, and its packet had been incomplete for longest',
  packet_timeout: 'the rest of a packet did not arrive in time',
})
const pingResponse = Buffer.from([0xd0, 0])

/** The connection of a client: TCP, TLS, or a WebSocket as a stream of its bytes. */
export interface GateSocket extends Duplex, Pick<Socket, 'destroySoon'> {
  /**
   * Whether the client is silent for a reason although the gate reads: the stream itself does not
   * read from it, or since the last call it has sent a part of a unit that reaches the gate as a
   * whole.
   */
  readonly excusesSilence?: () => boolean
  /** Whether a part of such a unit has arrived, and the rest is awaited. */
  readonly hasPart?: () => boolean
}

interface GateDependencies {
  readonly socket: GateSocket
  readonly clock: Clock
  readonly events: GateEvents
  readonly heldBytes: HeldBytes
  /** Whether a message of the client waits for room in the outbox. Absent: never. */
  readonly waitsForRoom?: (() => boolean) | undefined
  /** Called for a client of MQTT 5. Absent: every client speaks MQTT 3.1.1. */
  readonly openDialect?: (() => Dialect) | undefined
}

export function createGate(dependencies: GateDependencies, limits: GateLimits): Gate {
  const { socket, clock, events } = dependencies
  // Many answers come in one tick: one flush then passes on as many frames in one buffer.
  const planFlush = oncePerTick(() => flush())
  const toEnd = endings(dependencies, () => stream)
  const frames = createFrameReadAhead({ ...dependencies, ...toEnd, changed: planFlush }, limits)
  let wanted = false

  const stream = createStream(socket, {
    wanted() {
      wanted = true
      flush()
    },
    outgoing: (bytes) => frames.dialect?.written(bytes) ?? bytes,
    destroyed() {
      keepAlive.stop()
      frames.drop()
      closeSocket(socket, clock, limits.closeTimeoutMs, frames.dialect)
      events.closed()
    },
  })
  const keepAlive = keepAliveOf(stream, dependencies)

  function flush(): void {
    if (stream.destroyed) return
    for (let run = wanted && frames.take(); run; run = wanted && frames.take()) {
      wanted = stream.push(run)
    }
    if (frames.ending !== undefined) end(stream, events, frames.ending)
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
      // The client had to wait for its login, so its keepalive begins now.
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

function endings({ socket, events, waitsForRoom }: GateDependencies, stream: () => Duplex) {
  return {
    isReading: () => !socket.isPaused() && socket.hasPart?.() !== true,
    endIfWaiting: () => {
      if (waitsForRoom?.() !== true) return false
      end(stream(), events, heldAnswers)
      return true
    },
    ignored: events.ignored,
    evict: (reason: EvictReason) => end(stream(), events, { reason, detail: evictDetails[reason] }),
  }
}

/**
 * Aedes reads again once every packet of its last read is done, and counts each 'readable' event as
 * one that is. Without this it would take the messages of a client in batches, each only after the
 * whole batch before is durable: a third less throughput for a client that keeps a window of 64
 * full. The gate already bounds how many messages may be under way.
 */
function createReadOn(stream: Duplex): () => void {
  let packets = 0
  const readOn = (): void => {
    for (; packets > 0; packets--) stream.emit('readable')
  }
  return () => {
    // Deferred, because Aedes is still handling what it has read.
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

/** Combines the calls of one tick into one call at its end. */
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
  // A reset by the peer needs no report, and 'close' follows it anyway.
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
  // A client that does not read its answers is sent no more of them.
  if (count === 0 || stream.destroyed || stream.writableNeedDrain) return
  stream.write(count === 1 ? pingResponse : Buffer.alloc(pingResponse.length * count, pingResponse))
}

function closeSocket(
  socket: GateSocket,
  clock: Clock,
  timeoutMs: number,
  dialect: Dialect | undefined,
): void {
  const lastPacket = dialect?.lastPacket(socket.readableEnded)
  if (lastPacket !== undefined && socket.writable) socket.write(lastPacket)
  socket.destroySoon()
  socket.once(
    'close',
    clock.after(timeoutMs, () => socket.destroy()),
  )
}

/** The side of the gate that Aedes sees: a stream that pulls from the gate and writes through. */
function createStream(
  socket: GateSocket,
  events: { wanted(): void; destroyed(): void; outgoing(bytes: Buffer): Buffer },
): Duplex {
  function writeThrough(given: Buffer, done: () => void): void {
    const bytes = events.outgoing(given)
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
    // Aedes corks its writes for a tick, so the answers of a tick are written at once.
    writev(chunks, done) {
      writeThrough(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), done)
    },
    destroy(error, done) {
      // Aedes may still write to a client that is gone, without end if it went during its CONNECT.
      // It would wait for a drain that never comes, and block all publishers to that client.
      this.write = discard
      events.destroyed()
      done(error)
    },
  })
}

const discard = (): boolean => true
