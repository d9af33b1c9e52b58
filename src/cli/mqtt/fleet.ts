import type { MqttClient } from 'mqtt'
import { systemClock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import { unlessAborted } from '../../base/unless-aborted.ts'
import type { Broker } from './broker-options.ts'
import {
  addressOf,
  connectBroker,
  connectFailure,
  endClient,
  refusalOf,
} from './mqtt-connection.ts'

/** Publishes that one device has waiting for their PUBACK, at most. */
const unansweredMax = 32
const reconnectMs = 1_000
/** A broker that is restarted is waited for. */
const absenceMaxMs = 60_000
/** A broker that lets a device in and hangs up on the same message, again and again, refuses it. */
const hangUpsMax = 3

/** Who sends it, where to, and the exact bytes. */
export interface DeviceMessage {
  readonly device: string
  readonly topic: string
  readonly payload: string
}

/** One MQTT connection for each device; the messages of a device keep their order. */
interface Fleet {
  /** Resolves once the device has room for another message, or everything is to stop. */
  publish(message: DeviceMessage): Promise<void>
  /** Resolves once all are answered, or everything is to stop. */
  drained(): Promise<void>
  acknowledged(): number
  /** Ends the connections, and waits for no answer any more. */
  close(): Promise<void>
}

interface FleetOptions {
  readonly signal: AbortSignal
  readonly acknowledged: () => void
}

/** The operations reject with SluiceError BrokerUnreachable or BrokerRefused. */
export function createFleet(broker: Broker, { signal, acknowledged }: FleetOptions): Fleet {
  const devices = new Map<string, Promise<Device>>()
  let count = 0
  const answered = () => {
    count += 1
    acknowledged()
  }
  const deviceOf = (name: string): Promise<Device> => {
    const known = devices.get(name)
    if (known) return known
    const device = connectDevice(name, broker, answered)
    // Whoever waits for it is told.
    device.catch(() => undefined)
    devices.set(name, device)
    return device
  }
  return {
    async publish(message) {
      await unlessStopped(
        deviceOf(message.device).then((device) => device.publish(message)),
        signal,
      )
    },
    async drained() {
      const all = [...devices.values()].map(async (each) => (await each).drained())
      await unlessStopped(Promise.all(all), signal)
    },
    acknowledged: () => count,
    async close() {
      await Promise.all(
        [...devices.values()].map(async (connecting) => {
          const device = await connecting.catch(() => undefined)
          await device?.close()
        }),
      )
    },
  }
}

/** Waits for work until everything is to stop. */
async function unlessStopped(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  try {
    await unlessAborted(work, signal)
  } catch (thrown) {
    if (!signal.aborted) throw thrown
  }
}

interface Device {
  publish(message: DeviceMessage): Promise<void>
  drained(): Promise<void>
  close(): Promise<void>
}

async function connectDevice(name: string, broker: Broker, answered: () => void): Promise<Device> {
  const client = await connectBroker(broker, { clientId: name, reconnectPeriod: reconnectMs })
  const link = watchLink(client, name, broker)
  const unanswered = new Set<Promise<void>>()

  // A lost connection is made anew by the client, which then publishes again what was unanswered.
  const send = async ({ topic, payload }: DeviceMessage) => {
    await client.publishAsync(topic, payload, { qos: 1 })
    link.answered()
    answered()
  }
  return {
    async publish(message) {
      const answer = send(message).finally(() => unanswered.delete(answer))
      answer.catch(() => undefined)
      unanswered.add(answer)
      if (unanswered.size >= unansweredMax) await link.unlessBroken(Promise.race(unanswered))
    },
    async drained() {
      await link.unlessBroken(Promise.all(unanswered))
    },
    async close() {
      link.close()
      await endClient(client, unanswered.size > 0)
    },
  }
}

/** Tells when a connection that is made anew by itself is not worth waiting for any more. */
function watchLink(client: MqttClient, name: string, broker: Broker) {
  let hangUps = 0
  let cancel: (() => void) | undefined
  const link = new AbortController()
  let wasConnected = true
  let lastError: unknown

  // The client's own event waits until what was unanswered has been sent again.
  client.on('packetreceive', ({ cmd }) => {
    if (cmd !== 'connack') return
    wasConnected = true
    cancel?.()
  })
  client.on('error', (error) => {
    lastError = error
    if (refusalOf(error) !== undefined) {
      link.abort(connectFailure(broker, error, { isLate: false }))
    }
  })
  client.on('close', () => {
    if (!wasConnected) return
    wasConnected = false
    hangUps += 1
    if (hangUps >= hangUpsMax) link.abort(hungUp(name, broker))
    cancel = systemClock.after(absenceMaxMs, () => {
      link.abort(connectFailure(broker, lastError, { isLate: true }))
    })
  })
  return {
    /** Waits for work; rejects with the reason when the connection is given up first. */
    async unlessBroken(work: Promise<unknown>): Promise<void> {
      try {
        await unlessAborted(work, link.signal)
      } catch (thrown) {
        throw link.signal.aborted ? link.signal.reason : thrown
      }
    },
    answered() {
      hangUps = 0
    },
    close() {
      cancel?.()
    },
  }
}

function hungUp(name: string, broker: Broker): SluiceError {
  return new SluiceError(
    'BrokerRefused',
    `${addressOf(broker)} lets the device ${name} in, and closes its connection instead of ` +
      `acknowledging: most likely no policy allows it to publish to env/${name}/telemetry; the ` +
      'log of the engine says why',
  )
}
