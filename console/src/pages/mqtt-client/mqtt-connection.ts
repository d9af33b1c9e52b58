import type { IClientPublishOptions, IPublishPacket, MqttClient } from 'mqtt'
import { storedCredentials } from '../../api/credentials.ts'
import { presignMqttUrl } from '../../api/sign-request.ts'
import { grouped } from '../../parts/figures.ts'

/** How the page signs in to the broker. */
export interface ConnectChoice {
  readonly clientId: string
  /** The access key of this tab signs the URL; a user has a password; or neither. */
  readonly by: 'key' | 'user' | 'nobody'
  readonly username: string
  readonly password: string
}

export interface ReceivedMessage {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: number
  readonly retain: boolean
  readonly properties: readonly (readonly [name: string, value: string])[]
}

export interface Publication {
  readonly topic: string
  readonly payload: string
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly contentType: string
  readonly userProperties: readonly (readonly [string, string])[]
}

export interface ConnectionEvents {
  /** Also after an interruption: the filters are subscribed to again. */
  readonly connected: () => void
  /** @param problem what is known of the reason; it tries again while `goesOn` */
  readonly interrupted: (problem: string, goesOn: boolean) => void
  readonly received: (message: ReceivedMessage) => void
}

export interface MqttConnection {
  /** @throws Error (rejects): in words */
  subscribe(filter: string, qos: 0 | 1 | 2): Promise<void>
  unsubscribe(filter: string): Promise<void>
  publish(publication: Publication): Promise<void>
  close(): void
}

const againMs = 2_000
/** As AWS IoT: 128 KiB. */
const payloadBytesMax = 131_072

/** Connects to the port that the page comes from. The code of the client is loaded now. */
export async function connectMqtt(
  choice: ConnectChoice,
  events: ConnectionEvents,
): Promise<MqttConnection> {
  const { default: mqtt } = await import('mqtt')
  const url = await urlFor(choice)
  const current = { url }
  const client = mqtt.connect(url, {
    clientId: choice.clientId,
    protocolVersion: 5,
    clean: true,
    keepalive: 30,
    reconnectPeriod: againMs,
    connectTimeout: 10_000,
    // Its other timers run in a worker made of text, which the content policy refuses.
    timerVariant: 'native',
    transformWsUrl: () => current.url,
    ...(choice.by === 'user' && { username: choice.username, password: choice.password }),
  })
  watch(client, choice, current, events)
  return {
    async subscribe(filter, qos) {
      try {
        await client.subscribeAsync(filter, { qos })
      } catch (thrown) {
        throw new Error(`The engine refuses the subscription to ${filter}: ${wordsOf(thrown)}`, {
          cause: thrown,
        })
      }
    },
    unsubscribe: async (filter) => void (await client.unsubscribeAsync(filter)),
    async publish(publication) {
      if (!client.connected) throw new Error('Not published: the client is not connected.')
      const { length } = new TextEncoder().encode(publication.payload)
      // The engine would end the connection, and the client send it again in the next one.
      if (length > payloadBytesMax) {
        throw new Error(`Not published: it has ${grouped(length)} bytes, and 131,072 are the most.`)
      }
      try {
        await client.publishAsync(publication.topic, publication.payload, optionsOf(publication))
      } catch (thrown) {
        throw new Error(`The engine does not take the message: ${wordsOf(thrown)}`, {
          cause: thrown,
        })
      }
    },
    close: () => void client.end(true),
  }
}

async function urlFor({ by }: ConnectChoice): Promise<string> {
  const url = new URL('/mqtt', location.origin)
  const credentials = storedCredentials()
  const signed =
    by === 'key' && credentials !== undefined ? await presignMqttUrl(url, credentials) : url.href
  return signed.replace(/^http/, 'ws')
}

function watch(
  client: MqttClient,
  choice: ConnectChoice,
  current: { url: string },
  { connected, interrupted, received }: ConnectionEvents,
): void {
  let refusal: string | undefined
  let wasConnected = false
  let hasEnded = false
  client.on('connect', () => {
    wasConnected = true
    refusal = undefined
    connected()
  })
  client.on('disconnect', ({ reasonCode = 0, properties }) => {
    refusal = properties?.reasonString ?? disconnectWords[reasonCode] ?? `reason ${reasonCode}`
  })
  client.on('error', (error) => {
    refusal = wordsOf(error)
    interrupted(`The engine does not let the client in: ${refusal}`, false)
    hasEnded = true
    client.end(true)
  })
  client.on('close', () => {
    if (client.disconnecting || hasEnded) return
    const words = wasConnected
      ? `The connection has ended${refusal === undefined ? '' : `: ${refusal}`}. It is tried again.`
      : 'The engine does not answer, or refuses who asks. It is tried again.'
    interrupted(words, true)
    // A signature is too old after five minutes.
    void urlFor(choice).then((url) => (current.url = url))
  })
  client.on('message', (topic, payload, packet) => {
    const { qos, retain } = packet
    const properties = propertiesOf(packet)
    received({ topic, payload: new Uint8Array(payload), qos, retain, properties })
  })
}

const disconnectWords: Readonly<Record<number, string>> = {
  0x87: 'a policy does not allow it',
  0x8b: 'the engine stops',
  0x8e: 'another client has connected with this client id',
  0x95: 'the message is too large',
  0x98: 'an operator has ended it',
}

function wordsOf(thrown: unknown): string {
  const { message, code } = thrown as { readonly message: string; readonly code?: number }
  if (code === 0x86 || code === 4) return 'wrong user or password.'
  if (code === 0x87 || code === 5 || /not authorized/i.test(message)) {
    return 'a policy does not allow it, or it has to sign in.'
  }
  return message
}

function optionsOf(publication: Publication): IClientPublishOptions {
  const { qos, retain, contentType, userProperties } = publication
  const named: Record<string, string[]> = {}
  for (const [name, value] of userProperties) (named[name] ??= []).push(value)
  return {
    qos,
    retain,
    properties: {
      ...(contentType !== '' && { contentType }),
      ...(userProperties.length > 0 && { userProperties: named }),
    },
  }
}

function propertiesOf({ properties = {} }: IPublishPacket): ReceivedMessage['properties'] {
  const { userProperties = {}, contentType, responseTopic, messageExpiryInterval } = properties
  const named: readonly (readonly [string, string | number | readonly string[] | undefined])[] = [
    ['Content type', contentType],
    ['Response topic', responseTopic],
    ['Expires in seconds', messageExpiryInterval],
    ['Correlation data', properties.correlationData === undefined ? undefined : '(bytes)'],
    ...Object.entries(userProperties),
  ]
  return named.flatMap(([name, value]) => {
    const values = typeof value === 'object' ? value : [value]
    return values.flatMap((one) => (one === undefined ? [] : [[name, String(one)] as const]))
  })
}
