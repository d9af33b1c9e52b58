import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { once } from 'node:events'
import { connectFrame, nowMicroseconds, publishTemplate, writeTime } from './frames.ts'
import type { PublishTemplate } from './frames.ts'
import { createHistogram } from './histogram.ts'
import type { LoadAnswer, LoadReport, LoadRequest } from './messages.ts'

/** The load generator: a process of its own, that is told what to do over IPC. */
interface Publisher {
  readonly socket: Socket
  readonly template: PublishTemplate
  /** When each message of the window was written, in microseconds; by packet id. */
  readonly sentAt: Float64Array
  nextId: number
  unanswered: number
  /** A PINGRESP came. */
  answered: () => void
}

const idMax = 65_535
const latencies = createHistogram()
let phase: 'warming up' | 'measuring' | 'ending' = 'warming up'
let sent = 0
let answered = 0

process.on('message', (request: LoadRequest) => {
  run(request).then(
    (report) => answer({ kind: 'report', report }),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit(0))

const isRunning = (): boolean => phase !== 'ending'
const answer = (message: LoadAnswer): void => void process.send?.(message)

async function run(request: LoadRequest): Promise<LoadReport> {
  const publishers = await Promise.all(
    Array.from({ length: request.connections }, (_, index) => openPublisher(request, index)),
  )
  const stop =
    request.rate === undefined
      ? runClosed(publishers, request)
      : runPaced(publishers, request, request.rate)
  await sleep(request.warmUpMs)
  phase = 'measuring'
  latencies.reset()
  const before = request.qos === 0 ? sent : answered
  const startMs = performance.now()
  answer({ kind: 'measuring' })
  await sleep(request.measureMs)
  const measured = (request.qos === 0 ? sent : answered) - before
  const measuredMs = performance.now() - startMs
  const puback = latencies.latency()
  phase = 'ending'
  stop()
  while (request.qos === 1 && publishers.some(({ unanswered }) => unanswered > 0)) await sleep(5)
  for (const { socket } of publishers) socket.end(Buffer.from([0xe0, 0]))
  await Promise.all(publishers.map(({ socket }) => once(socket, 'close')))
  return { messages: sent, measured, measuredMs, puback }
}

async function openPublisher(request: LoadRequest, index: number): Promise<Publisher> {
  const socket = connect(request.port, '127.0.0.1')
  socket.setNoDelay(true)
  await once(socket, 'connect')
  socket.write(connectFrame(`bench-${index}`, request.version))
  const [connack] = (await once(socket, 'data')) as [Buffer]
  if (connack[0] !== 0x20 || connack[3] !== 0) throw new Error('the broker refuses the connection')
  return {
    socket,
    template: publishTemplate(`bench/${index}`, request),
    sentAt: new Float64Array(idMax + 1),
    nextId: 1,
    unanswered: 0,
    answered: () => {},
  }
}

/** Keeps every window full. @returns what stops it */
function runClosed(publishers: readonly Publisher[], { qos, window }: LoadRequest): () => void {
  for (const publisher of publishers) {
    if (qos === 1) {
      onAnswers(publisher, qos, () => {
        if (isRunning()) write(publisher, window - publisher.unanswered)
      })
      write(publisher, window)
    } else {
      onAnswers(publisher, qos, () => {})
      askAfterWindow(publisher, window)
    }
  }
  return () => {}
}

/**
 * Nothing answers QoS 0, and TCP alone would take megabytes for each connection, minutes of work
 * for the engine. So each window ends with a PINGREQ, and its PINGRESP lets the next one go.
 */
function askAfterWindow(publisher: Publisher, window: number): void {
  publisher.answered = () => {
    if (!isRunning()) return
    write(publisher, window)
    publisher.socket.write(pingRequest)
  }
  publisher.answered()
}

const pingRequest = Buffer.from([0xc0, 0])

/** Writes at a rate, however the answers come: a slow broker does not slow the questions. */
function runPaced(
  publishers: readonly Publisher[],
  { qos }: LoadRequest,
  rate: number,
): () => void {
  if (qos === 1) for (const publisher of publishers) onAnswers(publisher, qos, () => {})
  const startMs = performance.now()
  let written = 0
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startMs) * rate) / 1000)
    for (; written < due; written++) {
      const publisher = publishers[written % publishers.length]
      if (publisher) write(publisher, 1)
    }
  }, 1)
  return () => clearInterval(timer)
}

/** Writes `count` messages in one piece, all with the time of now. */
function write(publisher: Publisher, count: number): void {
  if (count <= 0) return
  const { template, sentAt, socket } = publisher
  const { frame, idAt, timeAt } = template
  const hasId = timeAt - idAt > 6
  const nowUs = nowMicroseconds()
  writeTime(frame, timeAt, nowUs)
  const bytes = Buffer.allocUnsafe(frame.length * count)
  for (let index = 0; index < count; index++) {
    frame.copy(bytes, index * frame.length)
    if (!hasId) continue
    const id = publisher.nextId
    publisher.nextId = id === idMax ? 1 : id + 1
    bytes.writeUInt16BE(id, index * frame.length + idAt)
    sentAt[id] = nowUs
  }
  sent += count
  publisher.unanswered += count
  socket.write(bytes)
}

/** Reads PUBACKs and PINGRESPs; a PUBACK that is out of order ends the benchmark. */
function onAnswers(publisher: Publisher, qos: 0 | 1, answeredSome: () => void): void {
  let rest: Buffer = Buffer.alloc(0)
  let expectedId = 1
  publisher.socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const nowUs = nowMicroseconds()
    let offset = 0
    while (offset + 2 + (bytes[offset + 1] ?? 0) <= bytes.length && offset + 1 < bytes.length) {
      if (bytes[offset] === 0x40) {
        const id = bytes.readUInt16BE(offset + 2)
        if (id !== expectedId) throw new Error(`PUBACK ${id} where ${expectedId} was due`)
        expectedId = id === idMax ? 1 : id + 1
        latencies.add(nowUs - (publisher.sentAt[id] ?? nowUs))
        publisher.unanswered--
        answered++
      }
      if (bytes[offset] === 0xd0) publisher.answered()
      offset += 2 + (bytes[offset + 1] ?? 0)
    }
    rest = bytes.subarray(offset)
    answeredSome()
  })
  publisher.socket.on('close', () => {
    if (qos === 1 && publisher.unanswered > 0) {
      console.error(`a connection was closed with ${publisher.unanswered} messages unanswered`)
      process.exit(1)
    }
  })
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
