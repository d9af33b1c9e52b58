import { isUtf8 } from 'node:buffer'
import type { IPublishPacket, MqttClient } from 'mqtt'
import { systemClock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import { newClientId, resolveBroker } from './broker-options.ts'
import type { Broker, BrokerOptions } from './broker-options.ts'
import { paint } from '../terminal/host.ts'
import type { Host, Output } from '../terminal/host.ts'
import { addressOf, connectBroker, endClient, lostConnection } from './mqtt-connection.ts'
import { dataText, onOneLine } from '../terminal/record-line.ts'
import { willOf } from './will-options.ts'
import type { WillOptions } from './will-options.ts'

export interface SubscribeOptions extends BrokerOptions, WillOptions {
  readonly topic: readonly string[]
  readonly qos: 0 | 1 | 2
  readonly clientId?: string
  readonly count?: number
  /** Seconds. */
  readonly timeout?: number
  readonly retained: boolean
  readonly json: boolean
  readonly raw: boolean
}

/** Fewer messages than asked for came in time: told apart from an error, which is 1. */
const exitCodeTimeout = 2
const failureOfSubscription = 0x80

/**
 * `sluice sub`.
 *
 * @throws SluiceError (rejects) ConfigInvalid, BrokerUnreachable, BrokerRefused
 */
export async function printMessages(host: Host, options: SubscribeOptions): Promise<void> {
  const will = willOf(options)
  const broker = await resolveBroker(host, options)
  const ended = new AbortController()
  void host.stopRequested().then(() => ended.abort())
  const clientId = options.clientId ?? newClientId('sluice_sub_')
  const client = await connectBroker(broker, { clientId, ...(will && { will }) })
  const printer = createPrinter(host.stdout, options, () => ended.abort())
  client.on('message', (topic, payload, packet) => printer.print(topic, payload, packet))
  let isLost = false
  client.once('close', () => {
    isLost = !ended.signal.aborted
    ended.abort()
  })
  try {
    await subscribe(client, broker, options)
    const filters = options.topic.join(', ')
    const text = `${filters} on ${addressOf(broker)}, Ctrl-C ends`
    host.stderr.write(`${paint(host.stderr, 'dim', text)}\n`)
    const isTimedOut = await waitForEnd(ended.signal, options.timeout)
    if (isLost) throw lostConnection(broker, 'the subscription any longer')
    if (isTimedOut && options.count !== undefined) {
      host.stderr.write(`${printer.printed()} of ${options.count} messages came in time\n`)
      host.setExitCode(exitCodeTimeout)
    }
  } finally {
    ended.abort()
    await endClient(client)
  }
}

/** @returns whether the time was over first */
async function waitForEnd(signal: AbortSignal, seconds: number | undefined): Promise<boolean> {
  if (signal.aborted) return false
  if (seconds === undefined) {
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    return false
  }
  await systemClock.sleep(seconds * 1_000, signal)
  return !signal.aborted
}

async function subscribe(
  client: MqttClient,
  broker: Broker,
  { topic: filters, qos }: SubscribeOptions,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    client.once('close', () => reject(lostConnection(broker, 'the subscription')))
    client.subscribe([...filters], { qos }, (error, subscriptions = [], suback) => {
      if (!error) return resolve()
      const codes = suback?.granted ?? []
      const denied = subscriptions.filter((_each, index) => codes[index] === failureOfSubscription)
      reject(refused(broker, denied.length > 0 ? denied.map(({ topic }) => topic) : filters))
    })
  })
}

function refused(broker: Broker, filters: readonly string[]): SluiceError {
  return new SluiceError(
    'BrokerRefused',
    `${addressOf(broker)} refused to subscribe to ${filters.join(', ')}: no policy allows it, or ` +
      'it is no topic filter that the broker takes; the log of the engine says which',
  )
}

function createPrinter(output: Output, options: SubscribeOptions, done: () => void) {
  const { count = Number.POSITIVE_INFINITY, retained, json, raw } = options
  let printed = 0

  return {
    printed: () => printed,
    print(topic: string, payload: Buffer, packet: IPublishPacket): void {
      if (printed >= count || (packet.retain && !retained)) return
      printed += 1
      if (raw) output.write(Buffer.concat([payload, Buffer.from('\n')]))
      else output.write(json ? jsonLine(topic, payload, packet) : textLine(output, topic, payload))
      if (printed >= count) done()
    },
  }
}

function textLine(output: Output, topic: string, payload: Buffer): string {
  const time = new Date(systemClock.wallMs()).toISOString().slice(11, 23)
  return `${time}  ${paint(output, 'cyan', onOneLine(topic))}  ${dataText(payload)}\n`
}

function jsonLine(topic: string, payload: Buffer, { qos, retain }: IPublishPacket): string {
  const time = new Date(systemClock.wallMs()).toISOString()
  const data = isUtf8(payload)
    ? { payload: payload.toString('utf8') }
    : { payloadBase64: payload.toString('base64') }
  return `${JSON.stringify({ time, topic, qos, retain, ...data })}\n`
}
