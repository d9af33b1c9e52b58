import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { onTestFinished } from 'vitest'
import { createAwsCalls } from '../../../src/aws/aws-calls.ts'
import type { AwsCalls, AwsCallsOptions } from '../../../src/aws/aws-calls.ts'
import type { CallOutcome } from '../../../src/aws/call/call-outcome.ts'
import { classify } from '../../../src/aws/call/failure-class.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { deliveryDefaults } from '../../../src/outbox/outbox.ts'
import type { NewRecord, QueuedRecord, ServiceDestination } from '../../../src/outbox/outbox.ts'
import { newQueuedRecord } from '../../../src/outbox/store/queued-record.ts'
import { encodeRecord } from '../../../src/outbox/store/record-codec.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { apply } from '../../actions/kinds/service-action-fixtures.ts'

/** A request as the service gets it. */
export interface SentRequest {
  /** By the protocol of the service: `SendMessage`, or `PUT /bucket/key`. */
  readonly operation: string
  /** A form or JSON as an object, anything else as text. */
  readonly parameters: unknown
  readonly headers: IncomingHttpHeaders
  /** Method and target, and the body as it came. */
  readonly line: string
  readonly bytes: Buffer
}

/** What the service answers. A text stands for itself, an object for JSON. */
export interface ServiceAnswer {
  readonly status?: number
  readonly body?: string | object
  readonly headers?: Readonly<Record<string, string>>
  /** The connection is cut instead of an answer. */
  readonly isLost?: boolean
}

type Answering = (request: SentRequest, number: number) => ServiceAnswer

const sessionAnswer = `<AssumeRoleResponse><AssumeRoleResult><Credentials>
<AccessKeyId>ASIATEST</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
<SessionToken>SESSION</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>`

/** A service that keeps what it was sent, and the clients of Sluice for it. */
export interface RecordingService {
  readonly endpoint: string
  readonly requests: readonly SentRequest[]
  readonly aws: AwsCalls
}

/** @param answering what the service answers to each request, counted from 0 */
export async function openRecordingService(
  answering: Answering,
  options: Pick<AwsCallsOptions, 'ruleHosts'> = {},
): Promise<RecordingService> {
  const requests: SentRequest[] = []
  let sessions = 0
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const line = `${request.method} ${request.url}`
    const sent = readRequest(line, request.headers, await buffer(request))
    if (sent.operation === 'AssumeRole') {
      sessions += 1
      const answered = sessionAnswer.replace('SESSION', `session-${sessions}`)
      response.setHeader('content-type', 'text/xml').end(answered)
      return
    }
    requests.push(sent)
    const { status = 200, body = '', headers = {}, isLost } = answering(sent, requests.length - 1)
    if (isLost) {
      request.socket.destroy()
      return
    }
    const type = typeof body === 'string' ? 'text/xml' : 'application/json'
    response
      .writeHead(status, { 'content-type': type, ...headers })
      .end(typeof body === 'string' ? body : JSON.stringify(body))
  }
  const server = createServer((request, response) => void answer(request, response))
  const endpoint = await listen(server)
  const aws = createAwsCalls(
    { clock: systemClock, logger: createMemoryLogger(() => undefined) },
    {
      ...options,
      stsEndpoint: endpoint,
      baseCredentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
    },
  )
  onTestFinished(() => {
    aws.close()
    server.closeAllConnections()
    server.close()
  })
  return { endpoint, requests, aws }
}

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function readRequest(line: string, headers: IncomingHttpHeaders, bytes: Buffer): SentRequest {
  return { ...readOperation(line, headers, bytes), headers, line, bytes }
}

function readOperation(line: string, headers: IncomingHttpHeaders, bytes: Buffer) {
  const body = (headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString()
  const target = headers['x-amz-target']
  if (typeof target === 'string') {
    const operation = target.split('.').at(-1) ?? ''
    return { operation, parameters: JSON.parse(body) as unknown }
  }
  const type = headers['content-type'] ?? ''
  if (type.startsWith('application/x-www-form-urlencoded')) {
    const { Action = '', Version: _, ...form } = Object.fromEntries(new URLSearchParams(body))
    return { operation: Action, parameters: form }
  }
  const isJson = type.startsWith('application/json')
  return { operation: line, parameters: isJson ? (JSON.parse(body) as unknown) : body }
}

/** What SELECT gave for a message, and the payload that templates read. */
export interface RuleMessage {
  readonly output?: string | Buffer
  readonly payload?: unknown
}

/**
 * The records that an action makes of messages, as they wait in the outbox.
 *
 * @param definition the action, as a rule holds it
 */
export function queuedRecordsOf(
  definition: object,
  messages: readonly RuleMessage[],
): { readonly records: readonly QueuedRecord[]; readonly made: readonly NewRecord[] } {
  const made = messages.flatMap(({ output, payload }) => {
    const outcome = apply(definition, output, payload)
    if (!outcome.ok) throw new Error(`${outcome.failure.where}: ${outcome.failure.message}`)
    return outcome.records
  })
  const records = made.map((record, index) => {
    const acceptedAtMs = 1
    const stored = encodeRecord(record, acceptedAtMs)
    return newQueuedRecord(record, { sequence: index + 1, acceptedAtMs, stored })
  })
  return { records, made }
}

/** The destination of records, at another address. */
export function destinationAt(endpoint: string | undefined, record: NewRecord): ServiceDestination {
  const { destination } = record
  if (destination.kind === 'kinesis') throw new Error('a stream is no service')
  return { ...destination, endpoint, settings: deliveryDefaults }
}

/** What became of each record: `ok`, or class and code of its failure. */
export function outcomesOf(outcome: CallOutcome): readonly string[] | string {
  if (!outcome.answered) return `${classify(outcome.failure)} ${outcome.failure.code}`
  return outcome.records.map((record) =>
    record.ok ? 'ok' : `${classify(record.failure)} ${record.failure.code}`,
  )
}
