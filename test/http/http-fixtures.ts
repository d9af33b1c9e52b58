import { IoTClient } from '@aws-sdk/client-iot'
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane'
import { LambdaClient } from '@aws-sdk/client-lambda'
import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { createHttpHosts } from '../../src/aws/http/http-hosts.ts'
import type { HttpAnswer, HttpPostRequest } from '../../src/aws/http/http-poster.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { StoredShadow } from '../../src/device-services/shadows/shadow-row.ts'
import { createShadows } from '../../src/device-services/shadows/shadows.ts'
import { createRecordedCalls } from '../../src/lab/calls/recorded-calls.ts'
import { createHttpServer } from '../../src/http/http-server.ts'
import type { HttpServerDependencies, HttpServerOptions } from '../../src/http/http-server.ts'
import { createEngine } from '../../src/engine/engine.ts'
import type { Engine } from '../../src/engine/engine.ts'
import type { Message } from '../../src/message.ts'
import { createManagedOutbox } from '../../src/outbox/managed-outbox.ts'
import type { Outbox } from '../../src/outbox/outbox.ts'
import { openTopicRuleDestinations } from '../../src/rules/destinations/topic-rule-destinations.ts'
import { createLogLevels, createTimedLogLevel } from '../../src/telemetry/log-levels.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { createMessageWatch } from '../../src/watch/message-watch.ts'
import { openTestOutbox, temporaryDirectory } from '../outbox/outbox-parts.ts'
import { openTestRegistry } from '../registry/registry-fixtures.ts'
import { compile, openStore } from '../rules/rule-fixtures.ts'
import type { OpenedStore } from '../rules/rule-fixtures.ts'

export interface StartedServer extends OpenedStore {
  readonly url: string
  readonly port: number
  /** AWS's own client, as an application would make it. */
  readonly iot: IoTClient
  readonly iotData: IoTDataPlaneClient
  readonly lambda: LambdaClient
  readonly outbox: Outbox
  readonly engine: Engine
  /** What subscribers would have got from republish actions. */
  readonly distributed: readonly Message[]
  /** The requests that endpoints got, to confirm topic rule destinations. */
  readonly asked: readonly HttpPostRequest[]
  /** What the server logged. */
  readonly serverLog: Record<string, unknown>[]
  /** As at a stop; again at the end of the test it does nothing. */
  close(this: void): Promise<void>
}

/** A store in a folder of its own and the HTTP server on it; both go with the test. */
export async function startServer(
  given: {
    readonly store?: OpenedStore
    readonly options?: Partial<HttpServerOptions>
    /** In place of those that are made here, or made of them. */
    readonly dependencies?:
      | Partial<HttpServerDependencies>
      | ((made: HttpServerDependencies) => Partial<HttpServerDependencies>)
  } = {},
): Promise<StartedServer> {
  const opened = given.store ?? (await openStore())
  const serverLog: Record<string, unknown>[] = []
  const { outbox } = await openTestOutbox(temporaryDirectory())
  onTestFinished(() => outbox.close())
  const distributed: Message[] = []
  const asked: HttpPostRequest[] = []
  const environment = { accountId: '123456789012', newUuid: randomUUID }
  const clock = { ...systemClock, wallMs: () => 1_700_000_000_123 }
  const logger = createMemoryLogger((line) => serverLog.push(line))
  const watch = createMessageWatch({ clock })
  const engine = createEngine({
    watch,
    rules: opened.store,
    outbox,
    distribute: async (message) => void distributed.push(message),
    environment,
    logger,
    metrics: opened.metrics,
    clock,
  })
  const destinations = await openTopicRuleDestinations(
    {
      poster: {
        post: (request) => {
          asked.push(request)
          return Promise.resolve(acceptedAnswer)
        },
      },
      ...createHttpHosts({ hosts: [], isLab: false }),
      probeInfluxdb: ({ secretId }) =>
        Promise.resolve(secretId === 'stale' ? 'the token is refused' : undefined),
      arnOf: (resource) => `arn:aws:iot:eu-central-1:123456789012:ruledestination/${resource}`,
      confirmBaseOf: (known = 'http://localhost') => known,
      clock,
      logger,
    },
    { folder: temporaryDirectory(), needsConfirmation: true },
  )
  destinations.start()
  onTestFinished(() => destinations.close())
  const made: HttpServerDependencies = {
    rules: opened.store,
    destinations,
    compile,
    environment,
    outbox: createManagedOutbox({ outbox, engine, deliveryOf: () => undefined }),
    engine,
    clock,
    health: () => ({ status: 'ok' }),
    logger,
    metrics: opened.metrics,
    broker: absentBroker,
    eventSourceMappings: absentMappings,
    mappingBatches: () => [],
    labCalls: createRecordedCalls(),
    sentStreams: () => [],
    reachableAt: () => ({ brokers: [{ protocol: 'mqtt', port: 1883 }], region: 'eu-central-1' }),
    watch,
    logLevel: createTimedLogLevel({ levels: createLogLevels('info'), logger, clock }),
    shadows: createShadows({ store: createMemoryShadows(), clock, logger }),
    lambdaFunctions: absentFunctions,
    ...(await openTestRegistry({ clock, logger }, temporaryDirectory())),
  }
  const { dependencies } = given
  const others = typeof dependencies === 'function' ? dependencies(made) : dependencies
  const server = createHttpServer(
    { ...made, ...others },
    { host: '127.0.0.1', port: 0, insecure: false, callRate: 0, ...given.options },
  )
  const port = await server.listen()
  let closing: Promise<void> | undefined
  const close = () => (closing ??= server.close())
  onTestFinished(close)
  const url = `http://127.0.0.1:${port}`
  const settings = {
    endpoint: url,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    maxAttempts: 1,
  }
  const iot = new IoTClient(settings)
  const iotData = new IoTDataPlaneClient(settings)
  const lambda = new LambdaClient(settings)
  onTestFinished(() => {
    iot.destroy()
    iotData.destroy()
    lambda.destroy()
  })
  const clients = { iot, iotData, lambda }
  return { ...opened, ...clients, url, port, serverLog, outbox, engine, distributed, asked, close }
}

const acceptedAnswer: HttpAnswer = {
  status: 200,
  reason: 'OK',
  header: () => undefined,
  body: Buffer.alloc(0),
}

/** A store that forgets its shadows with the server. */
function createMemoryShadows(): ShadowsStore {
  const shadows = new Map<string, StoredShadow>()
  return {
    get: (thingName, shadowName = '') => shadows.get(`${thingName} ${shadowName}`),
    change(thingName, shadowName = '', decide) {
      const key = `${thingName} ${shadowName}`
      const outcome = decide({ stored: shadows.get(key), isFull: false })
      if (outcome.change) shadows.set(key, outcome.change)
      return { outcome, durable: outcome.change && Promise.resolve() }
    },
    names: () => [],
    list: () => ({ found: [], last: undefined }),
  }
}

type ShadowsStore = Parameters<typeof createShadows>[0]['store']

/** For servers whose event source mappings are not used. */
const absentMappings: HttpServerDependencies['eventSourceMappings'] = {
  create: () => Promise.reject(new Error('there are no mappings')),
  get: () => ({}),
  update: () => Promise.reject(new Error('there are no mappings')),
  delete: () => Promise.reject(new Error('there are no mappings')),
  list: () => ({ EventSourceMappings: [] }),
  tags: () => ({}),
  setTags: () => Promise.reject(new Error('there are no mappings')),
}

/** For servers whose functions are not used. */
const absentFunctions: HttpServerDependencies['lambdaFunctions'] = {
  get: () => Promise.reject(new Error('there are no functions')),
  list: () => Promise.resolve({ functions: [] }),
  invoke: () => Promise.reject(new Error('there are no functions')),
  invokeLater: () => Promise.reject(new Error('there are no functions')),
  checkExists: () => Promise.reject(new Error('there are no functions')),
}

/** For servers whose data plane is not used. */
/** Knows no client. */
export const absentClients = {
  disconnect: () => Promise.resolve(false),
  connection: () => undefined,
  subscriptions: () => undefined,
  listClients: () => ({ clients: [], last: undefined, connectedCount: 0 }),
  connectedClient: () => undefined,
  sendDirect: () => Promise.resolve('notConnected' as const),
}
const absentBroker: HttpServerDependencies['broker'] = {
  publish: () => Promise.reject(new Error('there is no broker')),
  retained: () => undefined,
  listRetained: () => [],
  ...absentClients,
}
