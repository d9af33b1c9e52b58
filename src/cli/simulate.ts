import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import type { MqttClient } from 'mqtt'
import { SluiceError, messageOf } from '../base/errors.ts'
import { systemClock } from '../base/clock.ts'
import { loadConfig } from '../config/config.ts'
import type { Listen } from '../config/config.ts'
import type { Host } from './host.ts'

const sampleFile = fileURLToPath(
  new URL('../../samples/environmental-telemetry.ndjson', import.meta.url),
)

/** Publishes that one device has waiting for their PUBACK, at most. */
const unansweredMax = 32
const connectTimeoutMs = 5_000

interface SimulateOptions {
  readonly host?: string
  readonly port?: number
  readonly rate: number
  readonly file: string
  readonly repeat: boolean
}

/** One line of the file: who sends it, and the exact bytes. */
interface DeviceMessage {
  readonly device: string
  readonly payload: string
}

export function simulateCommand(host: Host): Command {
  return new Command('simulate')
    .description('publish recorded messages of three sensor arrays, as those devices')
    .option('--host <host>', 'MQTT broker (default: SLUICE_MQTT_HOST, else 127.0.0.1)')
    .option('--port <port>', 'its port (default: SLUICE_MQTT_PORT, else 1883)', parsePort)
    .option(
      '--rate <n|max>',
      'messages a second, of all devices together; "max": as fast as they are taken',
      parseRate,
      50,
    )
    .option('--file <path>', 'NDJSON file, one message with a "device" member a line', sampleFile)
    .option('--repeat', 'start again at the end of the file, until stopped', false)
    .addHelpText(
      'after',
      `
Each message goes by QoS 1 to the topic env/<device>/telemetry, from the client id <device>.

Examples:
  sluice simulate                 50 messages a second
  sluice simulate --rate max      as fast as they are acknowledged
`,
    )
    .action((options: SimulateOptions) => simulate(host, options))
}

async function simulate(host: Host, options: SimulateOptions): Promise<void> {
  const stop = new AbortController()
  void host.stopRequested().then(() => stop.abort())
  const messages = await readMessages(options.file)
  const fleet = createFleet({ ...loadConfig(host.environment, 'lab').mqtt, ...options })
  const progress = await createProgress(host, options.repeat ? undefined : messages.length)
  const startedMs = systemClock.monotonicMs()
  let sent = 0
  try {
    do {
      for (const message of messages) {
        if (stop.signal.aborted) break
        const earlyMs = startedMs + (sent * 1000) / options.rate - systemClock.monotonicMs()
        if (earlyMs > 0) await systemClock.sleep(earlyMs, stop.signal)
        await fleet.publish(message, progress.acknowledged)
        sent += 1
      }
    } while (options.repeat && !stop.signal.aborted)
    await fleet.drained()
  } finally {
    progress.stop()
    await fleet.close()
  }
  const seconds = (systemClock.monotonicMs() - startedMs) / 1000
  host.stdout.write(
    `${sent} messages published and acknowledged in ${seconds.toFixed(1)} s ` +
      `(${Math.round(sent / seconds)} messages/s)\n`,
  )
}

async function readMessages(file: string): Promise<DeviceMessage[]> {
  const messages: DeviceMessage[] = []
  try {
    for await (const payload of createInterface({ input: createReadStream(file) })) {
      if (payload === '') continue
      const { device } = JSON.parse(payload) as { device?: unknown }
      if (typeof device !== 'string') throw new Error('it has no "device" member with text')
      messages.push({ device, payload })
    }
  } catch (thrown) {
    throw new SluiceError(
      'ConfigInvalid',
      `${file}, line ${messages.length + 1}: ${messageOf(thrown)}`,
      { cause: thrown },
    )
  }
  return messages
}

/** One MQTT connection for each device; the messages of a device keep their order. */
function createFleet(broker: Listen) {
  const devices = new Map<string, Promise<Device>>()

  return {
    /** Resolves once the device has room for another message. */
    async publish(message: DeviceMessage, acknowledged: () => void): Promise<void> {
      let device = devices.get(message.device)
      if (!device) {
        device = connectDevice(message.device, broker)
        devices.set(message.device, device)
      }
      await (await device).publish(message.payload, acknowledged)
    },

    async drained(): Promise<void> {
      for (const device of devices.values()) await (await device).drained()
    },

    async close(): Promise<void> {
      for (const connecting of devices.values()) {
        const device = await connecting.catch(() => undefined)
        await device?.client.endAsync()
      }
    },
  }
}

interface Device {
  readonly client: MqttClient
  publish(payload: string, acknowledged: () => void): Promise<void>
  drained(): Promise<void>
}

async function connectDevice(name: string, { host, port }: Listen): Promise<Device> {
  const { default: mqtt } = await import('mqtt')
  const client = await mqtt
    .connectAsync(
      `mqtt://${host}:${port}`,
      { clientId: name, connectTimeout: connectTimeoutMs },
      false,
    )
    .catch((thrown: unknown) => {
      throw new SluiceError(
        'PortUnavailable',
        `no MQTT broker answers at ${host}:${port}: ${messageOf(thrown) || 'connection refused'} ` +
          '(`npm start` runs one)',
        { cause: thrown },
      )
    })
  // A lost connection is made anew by the client, which then publishes again what was unanswered.
  client.on('error', () => undefined)
  const unanswered = new Set<Promise<void>>()
  let failure: Error | undefined
  const send = async (payload: string, acknowledged: () => void) => {
    try {
      await client.publishAsync(`env/${name}/telemetry`, payload, { qos: 1 })
      acknowledged()
    } catch (thrown) {
      failure ??= new Error(`publishing as ${name} failed`, { cause: thrown })
    }
  }
  return {
    client,
    async publish(payload, acknowledged) {
      const answer = send(payload, acknowledged).finally(() => unanswered.delete(answer))
      unanswered.add(answer)
      if (unanswered.size >= unansweredMax) await Promise.race(unanswered)
      if (failure) throw failure
    },
    async drained() {
      await Promise.all(unanswered)
      if (failure) throw failure
    },
  }
}

/** A bar where a person watches; silence otherwise, since the closing line says it all. */
async function createProgress(host: Host, total: number | undefined) {
  if (!host.stdout.isTTY) return { acknowledged: () => undefined, stop: () => undefined }
  const { default: cliProgress } = await import('cli-progress')
  const bar = new cliProgress.SingleBar({
    format: total
      ? '{bar} {value} of {total} acknowledged, {eta_formatted} left'
      : '{value} acknowledged, {duration_formatted}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
  })
  bar.start(total ?? 0, 0)
  return { acknowledged: () => bar.increment(), stop: () => bar.stop() }
}

function parsePort(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port
  throw new InvalidArgumentError(`"${text}" is not a port (1 to 65535).`)
}

function parseRate(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY
  const rate = Number(text)
  if (rate > 0) return rate
  throw new InvalidArgumentError(`"${text}" is neither a number above 0 nor "max".`)
}
