import { Agent, request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { IoTClient } from '@aws-sdk/client-iot'
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane'
import { onTestFinished } from 'vitest'
import { createIngress } from '../../src/ingress/ingress.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { HttpServerDependencies, HttpServerOptions } from '../../src/http/http-server.ts'
import { parseAccessKeys } from '../../src/identity/access-keys/access-keys.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'
import { sign } from '../sigv4/sign.ts'
import { startServer } from './http-fixtures.ts'
import type { StartedServer } from './http-fixtures.ts'
import type { OpenedStore } from '../rules/rule-fixtures.ts'

/** A server that takes signed requests only, and who may call it. */
export const owner = { region: 'eu-central-1', accountId: '123456789012' }
export const arn = (resource: string) => `arn:aws:iot:eu-central-1:123456789012:${resource}`

export interface TestKey {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  readonly expiresAt?: string
  /** Absent: everything. */
  readonly statement?: unknown
}

export const admin: TestKey = { accessKeyId: 'ADMIN', secretAccessKey: 'secret-of-the-admin' }
export const session: TestKey = {
  accessKeyId: 'SESSION',
  secretAccessKey: 'secret-of-the-session',
  sessionToken: 'token-of-the-session',
}
export const bygone: TestKey = {
  accessKeyId: 'BYGONE',
  secretAccessKey: 'secret-of-the-bygone',
  expiresAt: '2020-01-01T00:00:00Z',
}

const everything = { Effect: 'Allow', Action: '*', Resource: '*' }

export async function startGuarded(
  given: {
    readonly keys?: readonly TestKey[]
    readonly metricsToken?: string
    readonly store?: OpenedStore
    readonly dependencies?: Partial<HttpServerDependencies>
    readonly options?: Partial<HttpServerOptions>
  } = {},
) {
  const accessKeys = (given.keys ?? [admin, session, bygone]).map(({ statement, ...key }) => ({
    ...key,
    policy: { Version: '2012-10-17', Statement: statement ?? everything },
  }))
  const keys = parseAccessKeys(JSON.stringify({ accessKeys }))
  return startServer({
    ...(given.options && { options: given.options }),
    ...(given.store && { store: given.store }),
    dependencies: {
      clock: systemClock,
      access: {
        keys: { find: (id) => keys.get(id), count: keys.size, isUnreadable: () => false },
        owner,
        metricsToken: given.metricsToken,
      },
      ...given.dependencies,
    },
  })
}

/** The broker behind the data plane; the topics of what it took are collected. */
export async function startBroker() {
  const topics: string[] = []
  const ingress = await createIngress({
    ingest: async ({ topic }) => void topics.push(topic),
    logger: createMemoryLogger(() => undefined),
    metrics: createMetrics(),
    clock: systemClock,
  })
  await ingress.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => ingress.close())
  return { ingress, topics }
}

export const topicRulePayload = {
  sql: "SELECT * FROM 'a'",
  actions: [
    {
      kinesis: { roleArn: 'arn:aws:iam::123456789012:role/r', streamName: 's', partitionKey: 'k' },
    },
  ],
}

/** AWS's own clients with that key. */
export function clientsOf({ url }: Pick<StartedServer, 'url'>, credentials: TestKey) {
  const settings = {
    endpoint: url,
    region: owner.region,
    // The clients write into it.
    credentials: { ...credentials },
    maxAttempts: 1,
  }
  const iot = new IoTClient(settings)
  const iotData = new IoTDataPlaneClient(settings)
  onTestFinished(() => {
    iot.destroy()
    iotData.destroy()
  })
  return { iot, iotData }
}

export interface Sent {
  readonly method?: string
  readonly path?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number | undefined
  readonly errorType: unknown
  readonly message: unknown
  readonly body: string
}

/** Sends exactly this, which fetch would not. */
export async function send(
  port: number,
  { method = 'GET', path = '/rules', body, headers }: Sent,
): Promise<Answer> {
  const agent = new Agent({ keepAlive: true })
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({ port, method, path, headers, agent }, resolve)
    sent.on('error', reject).end(body)
  })
  const answered = await text(answer)
  // A connection that is kept would keep the server from closing.
  agent.destroy()
  return {
    status: answer.statusCode,
    errorType: answer.headers['x-amzn-errortype'],
    message: messageIn(answered),
    body: answered,
  }
}

export interface Signer {
  readonly key?: TestKey
  readonly service?: string
  readonly region?: string
  readonly ageMs?: number
  readonly signedHeaders?: readonly string[]
}

/** The request with the headers of its signature. */
export function signed(port: number, given: Sent, by: Signer = {}): Sent {
  const { key = admin, service = 'iot', region = owner.region, ageMs = 0 } = by
  const at = new Date(Date.now() - ageMs).toISOString().replace(/[-:]|\.\d+/g, '')
  const { headers } = sign(
    {
      method: given.method ?? 'GET',
      target: given.path ?? '/rules',
      headers: { host: `localhost:${port}`, 'x-amz-date': at, ...given.headers },
      body: Buffer.from(given.body ?? ''),
    },
    {
      accessKeyId: key.accessKeyId,
      secretAccessKey: key.secretAccessKey,
      region,
      service,
      ...(by.signedHeaders && { signedHeaders: by.signedHeaders }),
    },
  )
  return { ...given, headers: headers as Record<string, string> }
}

function messageIn(body: string): unknown {
  try {
    return (JSON.parse(body) as { message?: unknown }).message
  } catch {
    return undefined
  }
}

/** Who sends to a topic signs for the data plane. */
export function dataPlane(path: string): Pick<Signer, 'service'> {
  return path.startsWith('/topics') ? { service: 'iotdata' } : {}
}
