import { createServer as createHttp2Server } from 'node:http2'
import type { Http2Server } from 'node:http2'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createKinesisReads } from '../../src/consumers/kinesis-reads.ts'
import type { KinesisReads } from '../../src/consumers/kinesis-reads.ts'
import { createAwsLambdaFunctions } from '../../src/event-source/functions/aws-lambda-functions.ts'
import { systemClock } from '../../src/base/clock.ts'
import { access } from './consumer-parts.ts'

const limits = { callTimeoutMs: 60, silenceMsMax: 60 }
const arn = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'

/** Accepts connections, and writes `first` when a request has come; then it is silent. */
async function startSilent(first: string): Promise<{ readonly port: number }> {
  const server = createServer((socket) => {
    keep(socket)
    socket.once('data', () => first !== '' && socket.write(first))
  })
  return listening(server)
}

/** An HTTP/2 server that begins a response and sends no event. */
async function startSilentHttp2(responds: boolean): Promise<{ readonly port: number }> {
  const server = createHttp2Server()
  server.on('session', (session) => {
    session.on('error', () => undefined)
    onTestFinished(() => session.destroy())
  })
  server.on('stream', (stream) => {
    stream.on('error', () => undefined)
    if (responds) {
      stream.respond({ ':status': 200, 'content-type': 'application/vnd.amazon.eventstream' })
    }
  })
  return listening(server)
}

function keep(socket: Socket): void {
  socket.on('error', () => undefined)
  onTestFinished(() => {
    socket.destroy()
  })
}

async function listening(server: Server | Http2Server): Promise<{ readonly port: number }> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
  })
  return { port: (server.address() as AddressInfo).port }
}

function readsOf(server: { readonly port: number }, options: object = limits): KinesisReads {
  const reads = createKinesisReads(access(server), arn, options)
  onTestFinished(() => reads.close())
  return reads
}

async function readEvents(reads: KinesisReads, signal: AbortSignal): Promise<void> {
  const shard = { consumerArn: `${arn}/consumer/c:1`, shardId: 's-0' }
  const events = await reads.subscribeToShard(shard, { type: 'TRIM_HORIZON' }, signal)
  for await (const event of events) throw new Error(`there was an event: ${JSON.stringify(event)}`)
}

type Call = (reads: KinesisReads, signal: AbortSignal) => Promise<unknown>

const calls: readonly (readonly [string, Call])[] = [
  ['DescribeStreamSummary', (reads, signal) => reads.describeStream(signal)],
  ['ListShards', (reads, signal) => reads.listShards(signal)],
  [
    'GetShardIterator',
    (reads, signal) => reads.shardIterator('s-0', { type: 'TRIM_HORIZON' }, signal),
  ],
  ['GetRecords', (reads, signal) => reads.getRecords('i', 1, signal)],
  ['RegisterStreamConsumer', (reads, signal) => reads.registerConsumer('c', signal)],
  ['DescribeStreamConsumer', (reads, signal) => reads.describeConsumer({ name: 'c' }, signal)],
  [
    'DeregisterStreamConsumer',
    (reads, signal) => reads.deregisterConsumer(`${arn}/consumer/c:1`, signal),
  ],
]

const beginnings = [
  ['silent', ''],
  ['silent after the headers', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{'],
] as const

describe.each(beginnings)('a server that is %s', (_, first) => {
  test.each(calls)('ends %s after its time limit', async (_name, call) => {
    const reads = readsOf(await startSilent(first))
    await expect(call(reads, new AbortController().signal)).rejects.toThrow(
      expect.objectContaining({ name: 'TimeoutError' }),
    )
  })

  test.each(calls)('ends %s when the signal aborts', async (_name, call) => {
    const reads = readsOf(await startSilent(first), {})
    const aborting = new AbortController()
    const called = call(reads, aborting.signal)
    setTimeout(() => aborting.abort(), 30)
    await expect(called).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
  })
})

describe.each([
  ['no response', false],
  ['a response without events', true],
] as const)('a subscription with %s', (_, responds) => {
  test('ends after its time limit', async () => {
    const reads = readsOf(await startSilentHttp2(responds))
    await expect(readEvents(reads, new AbortController().signal)).rejects.toThrow(
      expect.objectContaining({ name: 'TimeoutError' }),
    )
  })

  test('ends when the signal aborts', async () => {
    const reads = readsOf(await startSilentHttp2(responds), {})
    const aborting = new AbortController()
    const called = readEvents(reads, aborting.signal)
    setTimeout(() => aborting.abort(), 50)
    await expect(called).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
  })
})

test('an invocation in AWS without an answer fails after its time limit', async () => {
  const { port } = await startSilent('')
  const functions = createAwsLambdaFunctions(systemClock, {
    invokeTimeoutMs: 60,
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessKeyId: 'lab', secretAccessKey: 'lab' },
  })
  onTestFinished(() => functions.close())
  const lambda = functions.function('arn:aws:lambda:us-east-1:000000000000:function:f')
  const outcome = await lambda.invoke('{}', new AbortController().signal)
  expect(outcome).toMatchObject({ kind: 'failed', errorType: 'Sandbox.Timedout' })
})
