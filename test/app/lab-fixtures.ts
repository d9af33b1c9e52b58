import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { CreateTopicRuleCommand, IoTClient } from '@aws-sdk/client-iot'
import type { TopicRulePayload } from '@aws-sdk/client-iot'
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane'
import { connectAsync } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { expect, onTestFinished } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createRedaction } from '../../src/redaction/redaction.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'

export interface Lab {
  readonly url: string
  readonly mqttUrl: string
  readonly kinesisUrl: string
  /** The port of MQTT over TLS, if there is one. */
  readonly mqttsPort: number | undefined
  readonly data: IoTDataPlaneClient
  readonly createRule: (ruleName: string, topicRulePayload: TopicRulePayload) => Promise<unknown>
  readonly connect: (clientId: string, filters?: readonly string[]) => Promise<LabClient>
  readonly stop: () => Promise<void>
  readonly restart: () => Promise<Lab>
  /** The lines of the log so far. */
  readonly lines: readonly Record<string, unknown>[]
}

interface LabClient {
  readonly client: MqttClient
  /** The next message, as JSON. */
  readonly next: () => Promise<[topic: string, document: unknown]>
}

type AtTheEnd = (end: () => void | Promise<void>) => void
type Environment = Readonly<Record<string, string>>

/**
 * A lab in this process, in a folder of its own.
 *
 * @param atTheEnd takes what ends it; by default that is done when the test is finished
 * @param environmentIn more variables, for a lab in this folder
 */
export async function startLab(
  atTheEnd: AtTheEnd = onTestFinished,
  environmentIn: (folder: string) => Promise<Environment> | Environment = () => ({}),
): Promise<Lab> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-lab-'))
  atTheEnd(() => rm(folder, { recursive: true, force: true }))
  return startLabIn(folder, atTheEnd, await environmentIn(folder))
}

async function startLabIn(
  folder: string,
  atTheEnd: AtTheEnd,
  environment: Environment,
): Promise<Lab> {
  const config = loadConfig(
    {
      SLUICE_DATA_DIR: path.join(folder, 'data'),
      SLUICE_RULES_DIR: path.join(folder, 'rules'),
      SLUICE_FUNCTIONS_DIR: path.join(folder, 'functions'),
      SLUICE_MQTT_PORT: '0',
      SLUICE_HTTP_PORT: '0',
      SLUICE_LAB_PORT: '0',
      SLUICE_POLICIES_DIR: path.join(folder, 'policies'),
      ...environment,
    },
    'lab',
  )
  const lines: Record<string, unknown>[] = []
  const logger = createMemoryLogger((line) => lines.push(line), createRedaction(config.redact))
  const app = await startApp({ config, logger, clock: systemClock })
  let stopping: Promise<void> | undefined
  const stop = () => (stopping ??= app.stop())
  atTheEnd(stop)
  const url = `http://127.0.0.1:${app.ports.http}`
  const mqttUrl = `mqtt://127.0.0.1:${app.ports.mqtt}`
  const kinesisUrl = `http://127.0.0.1:${app.ports.kinesis}`
  const settings = {
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    maxAttempts: 1,
  }
  const data = new IoTDataPlaneClient(settings)
  const iot = new IoTClient(settings)
  atTheEnd(() => {
    data.destroy()
    iot.destroy()
  })

  async function connect(clientId: string, filters: readonly string[] = []) {
    const client = await connectAsync(mqttUrl, {
      clientId,
      reconnectPeriod: 0,
    })
    atTheEnd(() => client.endAsync(true))
    client.on('error', () => undefined)
    const inbox = createInbox(client)
    if (filters.length > 0) await client.subscribeAsync([...filters], { qos: 1 })
    return { client, next: () => inbox.next() }
  }
  return {
    url,
    mqttUrl,
    kinesisUrl,
    mqttsPort: app.ports.mqtts,
    data,
    createRule: (ruleName, topicRulePayload) =>
      iot.send(new CreateTopicRuleCommand({ ruleName, topicRulePayload })),
    connect,
    lines,
    stop,
    /** The same folder in a new lab, on other ports. */
    async restart() {
      await stop()
      return startLabIn(folder, atTheEnd, environment)
    },
  }
}

/** Hands out what a client gets, in the order in which it came. */
function createInbox(client: MqttClient) {
  const waiting: [string, unknown][] = []
  const arrived = new EventTarget()
  client.on('message', (topic, payload) => {
    waiting.push([topic, JSON.parse(payload.toString())])
    arrived.dispatchEvent(new Event('message'))
  })
  return {
    async next(): Promise<[string, unknown]> {
      while (waiting.length === 0) await once(arrived, 'message')
      return waiting.shift() ?? ['', undefined]
    },
  }
}

export type EventData = Readonly<Record<string, unknown>>

/** Reads server-sent events one by one; comments are left out. */
export async function readEvents({ status, headers, body }: Response) {
  expect([status, headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
  const reader = (body ?? new ReadableStream<Uint8Array>())
    .pipeThrough(new TextDecoderStream())
    .getReader()
  let rest = ''
  // The first comment says that the watcher is known to the engine.
  rest = (await reader.read()).value ?? ''
  return {
    next: async (): Promise<[string, EventData] | undefined> => {
      for (;;) {
        const [block, ...others] = rest.split('\n\n')
        if (others.length > 0) {
          rest = others.join('\n\n')
          const { name, data } =
            /^event: (?<name>\w+)\ndata: (?<data>.*)$/.exec(block ?? '')?.groups ?? {}
          if (name !== undefined && data !== undefined) return [name, JSON.parse(data) as EventData]
          continue
        }
        const { done, value } = await reader.read()
        if (done) return undefined
        rest += value
      }
    },
    cancel: () => reader.cancel(),
  }
}
