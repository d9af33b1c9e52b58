/**
 * Conversations of MQTT whose bytes are changed at random: the same ones for the same seed and
 * number, so that one which did harm can be had again.
 */
import mqttPacket from 'mqtt-packet'
import type { IConnectPacket, Packet } from 'mqtt-packet'
import { bytesOf, createRandom, oneOf } from '../helpers/random.ts'
import type { Random } from '../helpers/random.ts'

export interface MutatedSession {
  readonly transport: 'tcp' | 'webSocket'
  /** Sent one after the other. */
  readonly chunks: readonly Buffer[]
  /** `finish` waits for the server's last word, `reset` does not. */
  readonly ending: 'finish' | 'reset'
}

/** Where rules find what these clients publish: nobody else's topics begin so. */
export const noisePrefix = 'noise/'
export const noiseRuleName = 'noise'

/** Few, so that clients take over the session of another, and what is kept of them is bounded. */
const clientIds: readonly string[] = Array.from({ length: 40 }, (_, index) => `mutant-${index}`)
const topics: readonly string[] = [
  `${noisePrefix}a`,
  `${noisePrefix}a/b/c/d/e/f/g`,
  `${noisePrefix}ä/\u{1f321}`,
  `${noisePrefix}${'x'.repeat(240)}`,
  `$aws/rules/${noiseRuleName}/x`,
]
const filters: readonly string[] = [...topics.slice(0, 3), '#', `${noisePrefix}+`, '$SYS/#', '+/+']
const packetsMax = 9
const mutationsMax = 4
/** Bytes of chunks, roughly; Infinity is all at once. */
const chunkSizes: readonly number[] = [1, 7, 64, 1_000, Infinity]
const chunksMax = 60

/** @param port of the server: the Host of a request for a WebSocket */
export function mutatedSession(seed: number, number: number, port: number): MutatedSession {
  const random = createRandom(seed, number)
  const isWebSocket = random(4) === 0
  const spoken = mutated(conversation(random), random)
  const bytes = isWebSocket ? framed(spoken, random, port) : spoken
  return {
    transport: isWebSocket ? 'webSocket' : 'tcp',
    chunks: chunksOf(bytes, random),
    ending: random(5) === 0 ? 'reset' : 'finish',
  }
}

/** The bytes of a conversation of MQTT 5 alone. */
export function mutatedMqtt5(seed: number, number: number): readonly Buffer[] {
  const random = createRandom(seed, number)
  return chunksOf(mutated(conversation(random, [5]), random), random)
}

type Version = 3 | 4 | 5
const allVersions: readonly Version[] = [4, 4, 4, 3, 5, 5, 5, 5]

function conversation(random: Random, versions = allVersions): readonly Buffer[] {
  const protocolVersion = oneOf(versions, random)
  const packets = Array.from({ length: random(packetsMax) }, () => anyPacket(random))
  const all = [connectPacket(random, protocolVersion), ...packets, ...endOf(random)]
  return all.map((packet) => {
    const given = protocolVersion === 5 ? withProperties(packet, random) : packet
    return mqttPacket.generate(given, { protocolVersion })
  })
}

function endOf(random: Random): readonly Packet[] {
  return random(2) === 0 ? [{ cmd: 'disconnect' }] : []
}

/** What MQTT 5 adds to a packet: properties of its kind, and now and then of another. */
function withProperties(packet: Packet, random: Random): Packet {
  const kind = random(20) === 0 ? oneOf(['connect', 'publish'] as const, random) : packet.cmd
  const properties = random(3) === 0 ? undefined : propertiesOf(kind, random)
  const isAcknowledgement = /^pub(?:ack|rec|rel|comp)$/.test(packet.cmd)
  const reasonCode = oneOf([0, 0, 0, 0x10, 0x80, 0x92], random)
  return {
    ...packet,
    ...(properties !== undefined && { properties }),
    ...(isAcknowledgement && { reasonCode }),
    ...(packet.cmd === 'disconnect' && { reasonCode: oneOf([0, 4, 0x80], random) }),
    ...(packet.cmd === 'subscribe' && {
      subscriptions: packet.subscriptions.map((each) => ({
        ...each,
        nl: random(3) === 0,
        rap: random(3) === 0,
        rh: random(3),
      })),
    }),
  }
}

function propertiesOf(kind: string, random: Random): object {
  const some = (object: object) => (random(2) === 0 ? object : {})
  const userProperties = { [`k${random(3)}`]: ['1', '2'], '': 'ä' }
  if (kind === 'publish') {
    return {
      ...some({ userProperties }),
      ...some({ topicAlias: oneOf([1, 2, 64, 65, 0], random) }),
      ...some({ messageExpiryInterval: oneOf([0, 1, 60], random) }),
      ...some({ payloadFormatIndicator: random(2) === 0 }),
      ...some({ responseTopic: oneOf([...topics, 'a/#'], random) }),
      ...some({ correlationData: bytesOf(random(20), random) }),
      ...some({ contentType: 'x'.repeat(random(300)) }),
    }
  }
  if (kind === 'connect') {
    return {
      ...some({ userProperties }),
      ...some({ sessionExpiryInterval: oneOf([0, 1, 60, 0xffff_ffff], random) }),
      ...some({ receiveMaximum: oneOf([0, 1, 2, 100], random) }),
      ...some({ maximumPacketSize: oneOf([0, 1, 20, 10_000], random) }),
      ...some({ requestProblemInformation: random(2) === 0 }),
      ...some({ topicAliasMaximum: random(3) }),
    }
  }
  if (kind === 'subscribe') return some({ subscriptionIdentifier: oneOf([1, 200], random) })
  if (kind === 'disconnect') return some({ sessionExpiryInterval: oneOf([0, 5], random) })
  return some({ userProperties })
}

function connectPacket(random: Random, version: Version): IConnectPacket {
  const will = {
    topic: oneOf(topics, random),
    payload: payloadOf(random),
    qos: oneOf([0, 1, 2] as const, random),
    retain: random(4) === 0,
    ...(version === 5 && { properties: { willDelayInterval: random(3), contentType: 'will' } }),
  }
  return {
    cmd: 'connect',
    protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
    protocolVersion: version,
    clean: random(3) > 0,
    clientId: oneOf(clientIds, random),
    keepalive: oneOf([0, 1, 60], random),
    ...(random(3) === 0 && { will }),
    ...(random(3) === 0 && { username: 'device', password: Buffer.from('secret') }),
  }
}

function anyPacket(random: Random): Packet {
  // Few, so that ids are used again, and a PUBREL may be for a PUBLISH that came.
  const messageId = 1 + random(4)
  switch (random(8)) {
    case 0:
      return {
        cmd: 'subscribe',
        messageId,
        subscriptions: Array.from({ length: 1 + random(3) }, () => ({
          topic: oneOf(filters, random),
          qos: oneOf([0, 1, 2] as const, random),
        })),
      }
    case 1:
      return { cmd: 'unsubscribe', messageId, unsubscriptions: [oneOf(filters, random)] }
    case 2:
      return { cmd: 'pingreq' }
    case 3:
      return { cmd: oneOf(['puback', 'pubrec', 'pubcomp'] as const, random), messageId }
    case 4:
      return { cmd: 'pubrel', messageId }
    default:
      return {
        cmd: 'publish',
        topic: oneOf(topics, random),
        payload: payloadOf(random),
        qos: oneOf([0, 1, 2] as const, random),
        dup: false,
        retain: random(8) === 0,
        messageId,
      }
  }
}

function payloadOf(random: Random): Buffer {
  const sizes = [0, 5, 300, 10_000]
  return random(2) === 0
    ? Buffer.from(`{"n": ${random(10)}, "text": "${'x'.repeat(random(50))}"}`)
    : bytesOf(oneOf(sizes, random), random)
}

/** One conversation in five stays as it is. */
function mutated(packets: readonly Buffer[], random: Random): Buffer {
  const changed = random(3) === 0 ? withOtherLengths(packets, random) : packets
  const ordered = random(8) === 0 ? shuffled(changed, random) : changed
  let bytes: Buffer = Buffer.concat(ordered)
  for (let left = Math.max(0, random(mutationsMax + 1) - 1); left > 0; left--) {
    bytes = mutatedOnce(bytes, random)
  }
  return bytes
}

const lengths: readonly Buffer[] = [
  [0],
  [1],
  [2],
  [0x7f],
  [0x80, 0x00],
  [0xff, 0x7f],
  [0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff, 0x01],
].map((bytes) => Buffer.from(bytes))

/** Of one packet its remaining length, or two bytes that may be the length of a text in it. */
function withOtherLengths(packets: readonly Buffer[], random: Random): readonly Buffer[] {
  const chosen = random(packets.length)
  return packets.map((packet, index) => {
    if (index !== chosen) return packet
    if (random(2) === 0) {
      return Buffer.concat([packet.subarray(0, 1), oneOf(lengths, random), packet.subarray(2)])
    }
    const copy = Buffer.from(packet)
    const at = Math.min(2 + random(12), copy.length - 2)
    const length = copy.readUInt16BE(at)
    const others = [0, length + 1, length - 1, 0xff, 0xffff]
    copy.writeUInt16BE(oneOf(others, random) & 0xffff, at)
    return copy
  })
}

function shuffled(packets: readonly Buffer[], random: Random): readonly Buffer[] {
  const from = random(packets.length)
  return [...packets.slice(from), ...packets.slice(0, from)]
}

function mutatedOnce(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0) return bytesOf(random(20), random)
  const at = random(bytes.length)
  const end = at + 1 + random(8)
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
  switch (random(8)) {
    case 0:
      return withByte(bytes, at, (bytes[at] ?? 0) ^ (1 << random(8)))
    case 1:
      return withByte(bytes, at, oneOf([0, 0x7f, 0x80, 0xff, random(256)], random))
    case 2:
      return Buffer.concat([before, bytes.subarray(end)])
    case 3:
      return Buffer.concat([before, bytesOf(1 + random(8), random), after])
    case 4:
      return Buffer.concat([before, Buffer.alloc(random(5_000), random(256)), after])
    case 5:
      return Buffer.concat([bytes.subarray(0, end), after])
    case 6:
      return before
    default: {
      const other = Buffer.concat(conversation(random))
      return Buffer.concat([before, other.subarray(random(other.length))])
    }
  }
}

function withByte(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = value
  return copy
}

/** The request for a WebSocket, and the bytes in frames of it, some of them changed as well. */
function framed(bytes: Buffer, random: Random, port: number): Buffer {
  const request = [
    'GET /mqtt HTTP/1.1',
    `host: 127.0.0.1:${port}`,
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    `sec-websocket-key: ${bytesOf(16, random).toString('base64')}`,
    'sec-websocket-protocol: mqtt',
    '\r\n',
  ].join('\r\n')
  const frames: Buffer[] = []
  for (let from = 0; from < bytes.length;) {
    const to = from + 1 + random(Math.min(bytes.length, 3_000))
    frames.push(frameOf(bytes.subarray(from, to), random))
    from = to
  }
  const sent = Buffer.concat(frames)
  const isWhole = random(3) > 0
  return Buffer.concat([Buffer.from(request), isWhole ? sent : mutatedOnce(sent, random)])
}

const binaryFrame = 0x82
const masked = 0x80

/** RFC 6455, 5.2: a client's frame, with the length in two bytes where one is not enough. */
function frameOf(payload: Buffer, random: Random): Buffer {
  const mask = bytesOf(4, random)
  const head =
    payload.length < 126
      ? [binaryFrame, masked | payload.length]
      : [binaryFrame, masked | 126, payload.length >> 8, payload.length & 0xff]
  const hidden = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0))
  return Buffer.concat([Buffer.from(head), mask, hidden])
}

function chunksOf(bytes: Buffer, random: Random): readonly Buffer[] {
  const size = oneOf(chunkSizes, random)
  const chunks: Buffer[] = []
  for (let from = 0; from < bytes.length;) {
    const isLast = size === Infinity || chunks.length === chunksMax - 1
    const to = isLast ? bytes.length : from + 1 + random(2 * size)
    chunks.push(bytes.subarray(from, to))
    from = to
  }
  return chunks
}
