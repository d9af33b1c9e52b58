import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { MqttClient } from 'mqtt'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { unlessAborted } from '../../base/unless-aborted.ts'
import { clientIdPrefix, newClientId, resolveBroker } from './broker-options.ts'
import type { Broker, BrokerOptions } from './broker-options.ts'
import type { Host } from '../terminal/host.ts'
import { paint } from '../terminal/host.ts'
import { addressOf, connectBroker, endClient, lostConnection } from './mqtt-connection.ts'
import { createMqttSender } from './mqtt-sender.ts'
import { checkTopic } from './publish-topic.ts'
import { willOf } from './will-options.ts'
import type { WillOptions } from './will-options.ts'

export interface PublishOptions extends BrokerOptions, WillOptions {
  readonly topic: string
  readonly message?: string
  readonly file?: string
  readonly stdin?: boolean
  readonly lines?: boolean
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly clientId?: string
  readonly json: boolean
}

/**
 * `sluice pub`.
 *
 * @throws SluiceError (rejects) ConfigInvalid, InvalidRequestException, BrokerUnreachable,
 *   BrokerRefused
 */
export async function publishMessages(host: Host, options: PublishOptions): Promise<void> {
  const { topic } = options
  checkTopic(topic)
  const payloads = await payloadsOf(host, options)
  const will = willOf(options)
  const broker = await resolveBroker(host, options)
  const stopped = new AbortController()
  void host.stopRequested().then(() => stopped.abort())
  const clientId = options.clientId ?? newClientId(clientIdPrefix)
  const client = await connectBroker(broker, { clientId, ...(will && { will }) })
  // As a device that is cut off: its will is published.
  stopped.signal.addEventListener('abort', () => client.end(true), { once: true })
  let sent: Sent
  try {
    sent = await sendAll(
      client,
      { broker, payloads, isStopped: () => stopped.signal.aborted },
      options,
    )
  } finally {
    await endClient(client)
    // Nobody reads on, which would keep the process up.
    if (options.stdin || options.lines) host.stdin.destroy()
  }
  if (stopped.signal.aborted) host.setExitCode(1)
  report(host, options, { broker, ...sent })
}

interface Sent {
  readonly count: number
  readonly bytes: number
}

interface Sending {
  readonly broker: Broker
  readonly payloads: AsyncIterable<Buffer>
  readonly isStopped: () => boolean
}

async function sendAll(
  client: MqttClient,
  { broker, payloads, isStopped }: Sending,
  { topic, qos, retain }: PublishOptions,
): Promise<Sent> {
  const sender = createMqttSender(client, (what) => lostConnection(broker, what))
  // Standard input may be silent for long; the end of the connection must not wait for it.
  const gone = new AbortController()
  client.once('close', () => gone.abort())
  const iterator = payloads[Symbol.asyncIterator]()
  let bytes = 0
  try {
    for (;;) {
      const next = await unlessAborted(iterator.next(), gone.signal).catch((thrown: unknown) => {
        throw gone.signal.aborted ? lostConnection(broker, 'further messages') : thrown
      })
      if (next.done) break
      await sender.publish({ topic, payload: next.value, qos, retain })
      bytes += next.value.length
    }
    await sender.drained()
    if (qos === 0) {
      // The first may be answered just before the broker hangs up.
      await roundTrip(client, broker, topic)
      await roundTrip(client, broker, topic)
    }
  } catch (thrown) {
    if (!isStopped()) throw thrown
  }
  return { count: sender.acknowledged(), bytes }
}

function report(
  host: Host,
  { topic, qos, retain, json }: PublishOptions,
  {
    broker,
    count,
    bytes,
  }: { readonly broker: Broker; readonly count: number; readonly bytes: number },
): void {
  if (json) {
    const messages = { topic, qos, retain, messages: count, payloadBytes: bytes }
    host.stdout.write(`${JSON.stringify({ ...messages, acknowledged: qos > 0 })}\n`)
  } else {
    const verb = qos > 0 ? 'acknowledged by' : 'sent to'
    const text = `${count} ${count === 1 ? 'message' : 'messages'} ${verb} ${addressOf(broker)}`
    host.stderr.write(`${paint(host.stderr, 'dim', text)}\n`)
  }
}

/** The one source of payloads that is named; a file is read before anybody connects. */
async function payloadsOf(
  host: Host,
  { message, file, stdin, lines }: PublishOptions,
): Promise<AsyncIterable<Buffer>> {
  const sources = [
    message === undefined ? undefined : () => one(Buffer.from(message)),
    file === undefined ? undefined : async () => one(await readPayload(file)),
    stdin ? () => readAll(host) : undefined,
    lines ? () => readLines(host) : undefined,
  ].filter((source) => source !== undefined)
  const [source] = sources
  if (source && sources.length === 1) return source()
  throw new SluiceError(
    'ConfigInvalid',
    `${source ? 'there must be one payload' : 'there is no payload'}: ` +
      '--message, --file, --stdin or --lines',
  )
}

async function* one(payload: Buffer): AsyncGenerator<Buffer> {
  yield payload
}

async function readPayload(file: string): Promise<Buffer> {
  return readFile(file).catch((thrown: unknown) => {
    throw new SluiceError('ConfigInvalid', `${file} cannot be read: ${messageOf(thrown)}`, {
      cause: thrown,
    })
  })
}

/** MQTT's own limit of a packet: more is no payload. */
const payloadBytesMax = 268_435_455

async function* readAll({ stdin }: Host): AsyncGenerator<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stdin) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
    size += bytes.length
    if (size > payloadBytesMax) {
      throw new SluiceError('PayloadTooLarge', `the payload has over ${payloadBytesMax} bytes`)
    }
    chunks.push(bytes)
  }
  yield Buffer.concat(chunks)
}

async function* readLines({ stdin }: Host): AsyncGenerator<Buffer> {
  for await (const line of createInterface({ input: stdin })) yield Buffer.from(line)
}

/**
 * A message of QoS 0 is not acknowledged, and one that a policy denies ends the connection: what is
 * answered after it says that it was taken. A filter that was never subscribed to is no matter.
 */
async function roundTrip(client: MqttClient, broker: Broker, topic: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const lost = () => reject(lostConnection(broker, `the message for ${topic}`))
    client.once('close', lost)
    // Called back with an error when the connection ends.
    client.unsubscribe('sluice/pub/round-trip', (error) => {
      client.off('close', lost)
      if (error) lost()
      else resolve()
    })
  })
}
