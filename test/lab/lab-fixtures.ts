import { KinesisClient } from '@aws-sdk/client-kinesis'
import type { KinesisClientConfig } from '@aws-sdk/client-kinesis'
import { STSClient } from '@aws-sdk/client-sts'
import type { STSClientConfig } from '@aws-sdk/client-sts'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { onTestFinished } from 'vitest'
import { createLabServer } from '../../src/lab/server/lab-server.ts'
import type { LabServer, LabServerOptions } from '../../src/lab/server/lab-server.ts'
import type { StatusDurations } from '../../src/lab/streams/stream-statuses.ts'

export const region = 'us-east-1'
export const accountId = '000000000000'
const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }

/** Every change is done when its call is answered. */
export const noDelays: StatusDurations = Object.freeze({
  creatingMs: 0,
  updatingMs: 0,
  deletingMs: 0,
  consumerMs: 0,
})

/** A lab on a free port, closed when the test ends. */
export async function startLab(options: Partial<LabServerOptions> = {}): Promise<LabServer> {
  const lab = await createLabServer({ host: '127.0.0.1', port: 0, region, accountId, ...options })
  onTestFinished(() => lab.close())
  return lab
}

export type HttpVersion = 'HTTP/1.1' | 'HTTP/2'

/** The SDK's client; its own default handler speaks HTTP/2. */
export function kinesisClient(
  lab: { port: number },
  version: HttpVersion = 'HTTP/1.1',
  config: KinesisClientConfig = {},
) {
  const client = new KinesisClient({
    endpoint: `http://127.0.0.1:${lab.port}`,
    region,
    credentials,
    maxAttempts: 1,
    ...(version === 'HTTP/1.1' ? { requestHandler: new NodeHttpHandler() } : {}),
    ...config,
  })
  onTestFinished(() => client.destroy())
  return client
}

export function stsClient(
  lab: { port: number },
  keys: Partial<typeof credentials> = {},
  config: STSClientConfig = {},
) {
  const client = new STSClient({
    endpoint: `http://127.0.0.1:${lab.port}`,
    region,
    credentials: { ...credentials, ...keys },
    maxAttempts: 1,
    ...config,
  })
  onTestFinished(() => client.destroy())
  return client
}

export interface RawAnswer {
  readonly status: number
  readonly type: string | undefined
  readonly message: string | undefined
  readonly output: Readonly<Record<string, unknown>>
}

/** A call as JSON, for requests that the SDK would not send. */
export async function rawCall(
  lab: { port: number },
  operation: string,
  input: unknown,
): Promise<RawAnswer> {
  const response = await fetch(`http://127.0.0.1:${lab.port}/`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `Kinesis_20131202.${operation}`,
    },
    body: typeof input === 'string' ? input : JSON.stringify(input),
  })
  const text = await response.text()
  const output = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>
  const textOf = (name: string) => (name in output ? String(output[name]) : undefined)
  return {
    status: response.status,
    type: textOf('__type'),
    message: textOf('message'),
    output,
  }
}

export const base64 = (text: string) => Buffer.from(text).toString('base64')
