import { Reader, Writer } from '@platformatic/kafka'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** The keys of the requests that Sluice makes [Apache Kafka protocol guide]. */
export const apiKeys = {
  produce: 0,
  metadata: 3,
  saslHandshake: 17,
  apiVersions: 18,
  saslAuthenticate: 36,
}

/** A request as far as every version has it. */
interface Request {
  readonly apiKey: number
  readonly correlationId: number
  readonly socket: Socket
}

/** The partitions of a produce request, with the number of bytes of each. */
export interface Produced {
  readonly topic: string
  readonly partitions: readonly { readonly index: number; readonly bytes: number }[]
}

/** What a broker does instead of a right answer. */
export interface Script {
  /** Sees each request first. @returns true when it has dealt with it */
  readonly on?: ((request: Request) => boolean) | undefined
  /** The error of a topic in metadata; 0 by default. */
  readonly topicError?: number | undefined
  /** The number of partitions; 2 by default. */
  readonly partitions?: number | undefined
  /** The error of each partition that is written to; 0 by default. */
  readonly produceError?: ((partition: number, bytes: number) => number) | undefined
  /** The bytes of a mechanism in each answer of an authentication. */
  readonly authBytes?: (() => Buffer) | undefined
  /** The hosts of the brokers that metadata names, which lead partitions in turn. */
  readonly hosts?: readonly string[] | undefined
}

/** Speaks as much of Kafka's protocol as a producer needs. Apache Kafka itself is in test:kafka. */
export async function startScriptedBroker(script: Script) {
  const requests: number[] = []
  const produced: Produced[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    let held = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      while (held.length >= 4 && held.length >= 4 + held.readInt32BE(0)) {
        const frame = held.subarray(4, 4 + held.readInt32BE(0))
        held = held.subarray(4 + frame.length)
        answer(frame, socket)
      }
    })
  })

  function answer(frame: Buffer, socket: Socket): void {
    const apiKey = frame.readInt16BE(0)
    const correlationId = frame.readInt32BE(4)
    requests.push(apiKey)
    if (script.on?.({ apiKey, correlationId, socket })) return
    // After the client's name, of two bytes of length, and the tagged fields.
    const body = Reader.from(frame.subarray(10 + frame.readInt16BE(8) + 1))
    const { port } = server.address() as AddressInfo
    if (apiKey === apiKeys.apiVersions) write(socket, correlationId, versions(), false)
    if (apiKey === apiKeys.metadata) write(socket, correlationId, metadata(script, body, port))
    if (apiKey === apiKeys.saslHandshake) write(socket, correlationId, handshake(), false)
    if (apiKey === apiKeys.saslAuthenticate) {
      write(socket, correlationId, authenticated(script.authBytes?.() ?? Buffer.alloc(0)))
    }
    if (apiKey !== apiKeys.produce) return
    const request = readProduce(body)
    produced.push(request)
    write(socket, correlationId, produceAnswer(script, request))
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { server: `127.0.0.1:${port}`, requests, produced, sockets }
}

/** Writes an answer with its length and header. */
function write(socket: Socket, correlationId: number, body: Writer, hasTags = true): void {
  const answer = Writer.create().appendInt32(correlationId)
  if (hasTags) answer.appendTaggedFields()
  socket.write(answer.appendFrom(body).prependLength().buffer)
}

function versions(): Writer {
  const spoken = [
    [apiKeys.produce, 3, 9],
    [apiKeys.metadata, 0, 12],
    [apiKeys.apiVersions, 0, 3],
  ] as const
  return Writer.create()
    .appendInt16(0)
    .appendArray([...spoken], (writer, [key, min, max]) => {
      writer.appendInt16(key).appendInt16(min).appendInt16(max)
    })
    .appendInt32(0)
    .appendTaggedFields()
}

/** Version 1, which is older than compact lengths. */
function handshake(): Writer {
  return Writer.create()
    .appendInt16(0)
    .appendArray(['PLAIN'], (writer, name) => writer.appendString(name, false), false, false)
}

function authenticated(bytes: Buffer): Writer {
  const writer = Writer.create().appendInt16(0).appendString(null).appendBytes(bytes)
  return writer.appendInt64(0n).appendTaggedFields()
}

function metadata(script: Script, body: Reader, port: number): Writer {
  const [topic = ''] = body.readArray((reader) => {
    reader.readUUID()
    return reader.readString()
  })
  const { topicError = 0, partitions = 2, hosts = ['127.0.0.1'] } = script
  const indexes = Array.from({ length: topicError === 0 ? partitions : 0 }, (_, index) => index)
  return Writer.create()
    .appendInt32(0)
    .appendArray([...hosts.entries()], (writer, [id, host]) => {
      writer.appendInt32(id).appendString(host).appendInt32(port).appendString(null)
    })
    .appendString('cluster')
    .appendInt32(1)
    .appendArray([topic], (writer, name) => {
      writer.appendInt16(topicError).appendString(name).appendUUID(null).appendBoolean(false)
      writer.appendArray(indexes, (each, index) => {
        each.appendInt16(0).appendInt32(index)
        each.appendInt32(index % hosts.length).appendInt32(0)
        for (let list = 0; list < 3; list++) each.appendArray([], () => undefined)
      })
      writer.appendInt32(0)
    })
    .appendTaggedFields()
}

function readProduce(body: Reader): Produced {
  body.readNullableString()
  body.readInt16()
  body.readInt32()
  const [produced = { topic: '', partitions: [] }] = body.readArray((reader) => ({
    topic: reader.readString(),
    partitions: reader.readArray((each) => ({
      index: each.readInt32(),
      bytes: each.readBytes().length,
    })),
  }))
  return produced
}

function produceAnswer({ produceError = () => 0 }: Script, { topic, partitions }: Produced) {
  return Writer.create()
    .appendArray([topic], (writer, name) => {
      writer.appendString(name).appendArray([...partitions], (each, { index, bytes }) => {
        each.appendInt32(index).appendInt16(produceError(index, bytes))
        each.appendInt64(0n).appendInt64(-1n).appendInt64(0n)
        each.appendArray([], () => undefined).appendString(null)
      })
    })
    .appendInt32(0)
    .appendTaggedFields()
}
