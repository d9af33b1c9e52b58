import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { createAwsCalls } from '../../src/aws/aws-calls.ts'
import type { KinesisCalls, PutOperation } from '../../src/aws/kinesis-calls.ts'
import type { CallOutcome } from '../../src/aws/call/call-outcome.ts'
import { classify } from '../../src/aws/call/failure-class.ts'
import type { StreamDestination } from '../../src/outbox/outbox.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { destination } from '../outbox/outbox-parts.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

const credentials = `<AssumeRoleResponse><AssumeRoleResult><Credentials>
<AccessKeyId>ASIATEST</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
<SessionToken>token</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>`

/** One put of two records (one for PutRecord) to a Kinesis that answers as `handler` does. */
async function put(
  handler: Handler,
  { operation = 'PutRecords', sts }: { operation?: PutOperation; sts?: Handler } = {},
): Promise<CallOutcome> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      if (request.headers['x-amz-target'] !== undefined) handler(request, response)
      else if (sts) sts(request, response)
      else response.setHeader('content-type', 'text/xml').end(credentials)
    })
  })
  const calls = await callsTo(server, destination('stream'))
  const record = { partitionKey: 'k', data: Buffer.from('{}') }
  const records = operation === 'PutRecord' ? [record] : [record, record]
  const { signal } = new AbortController()
  return calls.put({ operation, streamName: 'stream', records, signal })
}

/** The calls of a destination, to a server that is closed when the test ends. */
async function callsTo(server: Server, to: StreamDestination): Promise<KinesisCalls> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const aws = createAwsCalls(
    { clock: systemClock, logger: createMemoryLogger(() => undefined) },
    {
      kinesisEndpoint: endpoint,
      stsEndpoint: endpoint,
      baseCredentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
      requestTimeoutMs: 150,
    },
  )
  onTestFinished(() => {
    aws.close()
    server.closeAllConnections()
    server.close()
  })
  return aws.callsFor(to)
}

const json =
  (status: number, body: object): Handler =>
  (_, response) =>
    response
      .writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
      .end(JSON.stringify(body))

describe('an answered call', () => {
  const taken = { ShardId: 'shardId-000000000001', SequenceNumber: '49' }
  const ok = { ok: true, shardId: 'shardId-000000000001', sequenceNumber: '49' }

  test('of PutRecord names the shard and the sequence number', async () => {
    const outcome = await put(json(200, taken), { operation: 'PutRecord' })
    expect(outcome).toEqual({ answered: true, records: [ok] })
  })

  test('of PutRecords has an outcome for each record', async () => {
    const throttled = { ErrorCode: 'ProvisionedThroughputExceededException', ErrorMessage: 'slow' }
    const outcome = await put(json(200, { FailedRecordCount: 1, Records: [throttled, taken] }))
    const failure = { code: throttled.ErrorCode, message: 'slow', source: 'Kinesis' }
    expect(outcome).toEqual({ answered: true, records: [{ ok: false, failure }, ok] })
  })

  test.each([
    ['without results', {}, []],
    ['with an empty result', { Records: [{}, taken] }, ['InternalFailure', undefined]],
  ])('%s: nothing is taken for delivered that is not named', async (_, body, codes) => {
    const outcome = await put(json(200, body))
    const found = outcome.answered
      ? outcome.records.map((record) => (record.ok ? undefined : record.failure.code))
      : 'not answered'
    expect(found).toEqual(codes)
  })
})

describe('the role', () => {
  test('is assumed with the external ID when there is one', async () => {
    const forms: string[] = []
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        if (request.headers['x-amz-target'] === undefined) {
          forms.push(Buffer.concat(chunks).toString())
        }
        response.setHeader('content-type', 'text/xml').end(credentials)
      })
    })
    const calls = await callsTo(server, {
      ...destination('stream'),
      credentials: { kind: 'role', roleArn: 'arn:aws:iam::1:role/r', externalId: 'of-mine' },
    })
    const { signal } = new AbortController()
    const record = { partitionKey: 'k', data: Buffer.from('{}') }
    await calls.put({ operation: 'PutRecord', streamName: 's', records: [record], signal })
    expect(forms.map((form) => new URLSearchParams(form).get('ExternalId'))).toEqual(['of-mine'])
  })
})

const summary = json(200, { StreamDescriptionSummary: { MaxRecordSizeInKiB: 10_240 } })

/** Calls to a Kinesis that refuses the first session of the role with an error. */
async function callsWithStaleSession(code: string) {
  let sessions = 0
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      if (request.headers['x-amz-target'] === undefined) {
        sessions += 1
        response
          .setHeader('content-type', 'text/xml')
          .end(credentials.replace('>token<', `>session-${sessions}<`))
      } else if (request.headers['x-amz-security-token'] === 'session-1') {
        json(400, { __type: code, message: 'refused' })(request, response)
      } else summary(request, response)
    })
  })
  return callsTo(server, destination('stream'))
}

describe('the largest record of a stream', () => {
  test.each(['ExpiredTokenException', 'UnrecognizedClientException'])(
    'is unknown after %s, and the next call has a new session',
    async (code) => {
      const calls = await callsWithStaleSession(code)
      const { signal } = new AbortController()
      const first = await calls.recordBytesMax({ streamName: 'stream' }, signal)
      expect(first).toMatchObject({ kind: 'unknown', failure: { code, source: 'Kinesis' } })
      const second = await calls.recordBytesMax({ streamName: 'stream' }, signal)
      expect(second).toEqual({ kind: 'bytes', bytes: 10_485_760 })
    },
  )

  test('is unknown while STS refuses the role', async () => {
    const body =
      '<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>'
    const server = createServer((request, response) => {
      request
        .resume()
        .on('end', () => response.writeHead(403, { 'content-type': 'text/xml' }).end(body))
    })
    const calls = await callsTo(server, destination('stream'))
    const { signal } = new AbortController()
    const answer = await calls.recordBytesMax({ streamName: 'stream' }, signal)
    const failure = { code: 'AccessDenied', source: 'AssumeRole' }
    expect(answer).toMatchObject({ kind: 'unknown', failure })
  })
})

describe('a failed call', () => {
  test.each<[string, Handler, object]>([
    [
      'with an error of the service',
      json(400, { __type: 'ResourceNotFoundException', message: 'no such stream' }),
      { code: 'ResourceNotFoundException', message: 'no such stream', status: 400 },
    ],
    [
      'with an error that the SDK does not know',
      json(400, { __type: 'com.amazon.coral#ThrottlingException', message: 'slow down' }),
      { code: 'ThrottlingException', message: 'slow down', status: 400 },
    ],
    ['with a fault without a body', (_, response) => response.writeHead(500).end(), {}],
    [
      'with a page of HTML',
      (_, response) => response.writeHead(503).end('<html>Service Unavailable</html>'),
      {},
    ],
    ['with a cut connection', ({ socket }) => socket.destroy(), { code: 'ECONNRESET' }],
    ['that is not answered in time', () => undefined, { code: 'TimeoutError' }],
    [
      'whose answer stops half way',
      (_, response) => response.writeHead(200, { 'content-length': 100 }).write('{'),
      { code: 'TimeoutError' },
    ],
  ])('%s', async (_, handler, expected) => {
    const outcome = await put(handler)
    expect(outcome).toMatchObject({ answered: false, failure: { source: 'Kinesis', ...expected } })
  })

  test.each<[string, Handler]>([
    ['a page of HTML', (_, response) => response.writeHead(503).end('<html>busy</html>')],
    ['a fault without a body', (_, response) => response.writeHead(500).end()],
    ['a throttle', json(400, { __type: 'LimitExceededException' })],
    ['a cut connection', ({ socket }) => socket.destroy()],
    ['no answer', () => undefined],
  ])('by %s is one that passes', async (_, handler) => {
    const outcome = await put(handler)
    const failureClass = outcome.answered ? 'answered' : classify(outcome.failure)
    expect(failureClass).toBe('passing')
  })

  test.each<[string, Handler, object]>([
    [
      'refuses the role',
      (_, response) =>
        response
          .writeHead(403, { 'content-type': 'text/xml' })
          .end(
            '<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>' +
              '<Message>not authorized</Message></Error></ErrorResponse>',
          ),
      { code: 'AccessDenied', message: 'not authorized', status: 403 },
    ],
    [
      'answers without credentials',
      (_, response) =>
        response
          .setHeader('content-type', 'text/xml')
          .end('<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>'),
      { message: expect.stringContaining('without credentials') as string },
    ],
    ['cannot be reached', ({ socket }) => socket.destroy(), { code: 'ECONNRESET' }],
  ])('because STS %s is told from one of Kinesis', async (_, sts, expected) => {
    const outcome = await put(json(200, {}), { sts })
    const failure = { source: 'AssumeRole', ...expected }
    expect(outcome).toMatchObject({ answered: false, failure })
  })
})

describe('further calls to a stream', () => {
  type Seen = {
    readonly method: unknown
    readonly url: unknown
    readonly headers: object
    readonly body: string
  }

  /** A Kinesis that keeps what it is sent, and answers 500 while `fails` says so. */
  async function recording(to: StreamDestination) {
    const seen: Seen[] = []
    const state = { fails: false }
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        if (request.headers['x-amz-target'] === undefined) {
          response.setHeader('content-type', 'text/xml').end(credentials)
          return
        }
        const { method, url, headers } = request
        seen.push({ method, url, headers, body: Buffer.concat(chunks).toString() })
        const taken = { ShardId: 'shardId-000000000001', SequenceNumber: '49' }
        const answer = state.fails
          ? json(400, { __type: 'ExpiredTokenException', message: 'over' })
          : json(200, { ...taken, FailedRecordCount: 0, Records: [taken, taken] })
        answer(request, response)
      })
    })
    return { seen, state, calls: await callsTo(server, to) }
  }

  /** What differs from call to call whichever way it goes. */
  const comparable = ({ headers, ...rest }: Seen) => {
    const each = { ...headers } as Record<string, string>
    const changing = ['amz-sdk-invocation-id', 'x-amz-date', 'authorization']
    for (const name of changing) delete each[name]
    return { ...rest, headers: each }
  }
  const signedHeaders = ({ headers }: Seen) =>
    /SignedHeaders=[^,]*/.exec(String((headers as IncomingMessage['headers']).authorization))?.[0]

  const arn = 'arn:aws:kinesis:us-east-1:000000000000:stream/stream'
  for (const operation of ['PutRecord', 'PutRecords'] as const) {
    test.each([{ streamName: 'stream' }, { streamName: 'stream', streamArn: arn }])(
      `send the bytes and headers of the first, ${operation} %o`,
      async (stream) => {
        const { seen, calls } = await recording(destination('stream'))
        const record = {
          partitionKey: 'k\u00e4"\u0001',
          explicitHashKey: '12',
          data: Buffer.from('{"\u00e4":1}'),
        }
        const records =
          operation === 'PutRecord'
            ? [record]
            : [record, { ...record, data: Buffer.alloc(9_000, 'a') }]
        const { signal } = new AbortController()
        const outcomes = []
        for (let call = 0; call < 3; call++)
          outcomes.push(await calls.put({ operation, ...stream, records, signal }))
        // Another signal: the call goes all the way.
        outcomes.push(
          await calls.put({ operation, ...stream, records, signal: new AbortController().signal }),
        )
        expect(outcomes.every(({ answered }) => answered)).toBe(true)
        expect(outcomes[1]).toEqual(outcomes[0])
        expect(seen).toHaveLength(4)
        for (const one of seen.slice(1)) {
          expect(comparable(one)).toEqual(comparable(seen[0] ?? one))
          expect(signedHeaders(one)).toBe(signedHeaders(seen[0] ?? one))
        }
        const ids = seen.map(
          ({ headers }) => (headers as IncomingMessage['headers'])['amz-sdk-invocation-id'],
        )
        expect(new Set(ids).size).toBe(4)
      },
    )
  }

  test('fail like the first, use new credentials after that, and end with their signal', async () => {
    const { seen, state, calls } = await recording({
      ...destination('stream'),
      credentials: { kind: 'role', roleArn: 'arn:aws:iam::000000000000:role/r' },
    })
    const controller = new AbortController()
    const records = [{ partitionKey: 'k', data: Buffer.from('1') }]
    const putOne = () =>
      calls.put({
        operation: 'PutRecord',
        streamName: 'stream',
        records,
        signal: controller.signal,
      })
    await putOne()
    state.fails = true
    const failed = await putOne()
    expect(failed).toMatchObject({
      answered: false,
      failure: { code: 'ExpiredTokenException', message: 'over', source: 'Kinesis', status: 400 },
    })
    state.fails = false
    expect((await putOne()).answered).toBe(true)
    expect((await putOne()).answered).toBe(true)
    expect(seen).toHaveLength(4)
    controller.abort()
    expect(await putOne()).toMatchObject({ answered: false, failure: { code: 'AbortError' } })
    expect(seen).toHaveLength(4)
  })
})
