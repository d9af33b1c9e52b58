import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import type { Socket } from 'node:net'
import mqttPacket from 'mqtt-packet'
import type { Packet } from 'mqtt-packet'
import { WebSocket } from 'ws'
import type { ClientOptions } from 'ws'
import type { TestEntrances } from './entrance-fixtures.ts'
import { atTheEnd, connectPacket, encode } from '../helpers.ts'

export interface RawWebSocket {
  readonly socket: WebSocket
  /** The next packet of MQTT. */
  readonly next: () => Promise<Packet>
  /** The code of its end. */
  readonly closed: Promise<number>
}

/** A WebSocket of bytes. */
export async function openWebSocket(
  { ports }: TestEntrances,
  options: ClientOptions = {},
): Promise<RawWebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${ports.ws}/mqtt`, ['mqtt'], options)
  const parser = mqttPacket.parser()
  const packets: Packet[] = []
  const takers: ((packet: Packet) => void)[] = []
  parser.on('packet', (packet) => {
    const take = takers.shift()
    if (take) take(packet)
    else packets.push(packet)
  })
  socket.on('message', (data: Buffer) => parser.parse(data))
  socket.on('error', () => {})
  atTheEnd(() => socket.terminate())
  const closed = new Promise<number>((resolve) => void socket.once('close', resolve))
  await once(socket, 'open')
  return {
    socket,
    closed,
    next() {
      const packet = packets.shift()
      return packet ? Promise.resolve(packet) : new Promise((resolve) => takers.push(resolve))
    },
  }
}

export async function connectWebSocket(
  entrances: TestEntrances,
  clientId: string,
): Promise<RawWebSocket> {
  const client = await openWebSocket(entrances)
  client.socket.send(encode(connectPacket({ clientId })))
  const connack = await client.next()
  if (connack.cmd !== 'connack' || connack.returnCode !== 0) throw new Error('not accepted')
  return client
}

/** The beginning of a binary frame of so many bytes. */
export function frameOf(bytes: number): Buffer {
  const header = Buffer.alloc(14)
  header.set([0x82, 0xff])
  header.writeBigUInt64BE(BigInt(bytes), 2)
  return header
}
/** A WebSocket whose frames can be sent in part. */
export async function openBytes({ ports }: TestEntrances): Promise<Socket> {
  const socket = connectTcp(ports.ws, '127.0.0.1').on('error', () => {})
  atTheEnd(() => void socket.destroy())
  const lines = [
    'GET /mqtt HTTP/1.1',
    `host: 127.0.0.1:${ports.ws}`,
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    `sec-websocket-key: ${Buffer.alloc(16).toString('base64')}`,
    'sec-websocket-protocol: mqtt',
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  await once(socket, 'data')
  return socket
}

export const wholeFrame = (payload: Buffer): Buffer =>
  Buffer.concat([frameOf(payload.length), payload])
