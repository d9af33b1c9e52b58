import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { nowMicroseconds, readTime } from './frames.ts'
import { createHistogram } from './histogram.ts'
import type { SinkAnswer, SinkRequest } from './messages.ts'

/**
 * A Kinesis, an SQS, a Firehose and an STS that acknowledge everything at once and keep nothing.
 * They look for no more than the number of records in a call and the time in one of them, so that
 * the machine's second core is left to the load generator.
 */
const latencies = createHistogram()
let records = 0
let calls = 0
let accepts = true

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
    const operation = String(request.headers['x-amz-target'] ?? '').split('.')[1]
    if (operation === undefined) {
      response.setHeader('content-type', 'text/xml')
      response.end(assumeRoleXml())
      return
    }
    response.setHeader('content-type', 'application/x-amz-json-1.1')
    const take = operations.get(operation)
    if (!accepts || take === undefined) {
      response.statusCode = accepts ? 400 : 503
      response.end(`{"__type":"${accepts ? 'AccessDeniedException' : 'ServiceUnavailable'}"}`)
      return
    }
    const { count, answer: text, payload } = take(body)
    response.end(text)
    records += count
    calls++
    latencies.add(nowMicroseconds() - readTime(payload))
  })
})
server.keepAliveTimeout = 60_000

/** What a call held, and the payload of one of its records. */
interface Taken {
  readonly count: number
  readonly answer: string
  readonly payload: Buffer
}

interface SqsEntry {
  readonly Id?: string
  readonly MessageBody: string
}

const putRecordAnswer =
  '{"SequenceNumber":"49600000000000000000000000000000000000000000000000000001","ShardId":"shardId-000000000000"}'
const putRecordsAnswers = repeated(putRecordAnswer, 'FailedRecordCount', 'Records')
const firehoseAnswers = repeated('{"RecordId":"1"}', 'FailedPutCount', 'RequestResponses')

const operations: ReadonlyMap<string, (body: Buffer) => Taken> = new Map([
  ['PutRecord', (body: Buffer) => takeData(body, () => putRecordAnswer)],
  ['PutRecords', (body: Buffer) => takeData(body, putRecordsAnswers)],
  ['PutRecordBatch', (body: Buffer) => takeData(body, firehoseAnswers)],
  ['SendMessageBatch', takeMessages],
])

const dataMark = Buffer.from('"Data":"')

/** Of a random record, so that neither the first of a call nor the last is favoured. */
function takeData(body: Buffer, answerOf: (count: number) => string): Taken {
  const places: number[] = []
  for (let at = body.indexOf(dataMark); at !== -1; at = body.indexOf(dataMark, at)) {
    at += dataMark.length
    places.push(at)
  }
  const at = places[Math.floor(Math.random() * places.length)] ?? 0
  const payload = Buffer.from(body.toString('latin1', at, at + 32), 'base64')
  return { count: places.length, answer: answerOf(places.length), payload }
}

/** The SDK compares the MD5 of each message. */
function takeMessages(body: Buffer): Taken {
  const { Entries } = JSON.parse(body.toString()) as { readonly Entries: readonly SqsEntry[] }
  const Successful = Entries.map(({ Id, MessageBody }) => ({
    Id,
    MessageId: Id,
    MD5OfMessageBody: createHash('md5').update(MessageBody).digest('hex'),
  }))
  return {
    count: Entries.length,
    answer: JSON.stringify({ Successful, Failed: [] }),
    payload: Buffer.from(Entries[0]?.MessageBody ?? ''),
  }
}

/** @returns the answer for a number of records, made once for each number */
function repeated(entry: string, failedCount: string, entries: string): (count: number) => string {
  const known = new Map<number, string>()
  return (count) => {
    const answer =
      known.get(count) ??
      `{"${failedCount}":0,"${entries}":[${Array(count).fill(entry).join(',')}]}`
    known.set(count, answer)
    return answer
  }
}

const assumeRoleXml = (): string =>
  `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><Arn>arn:aws:sts::000000000000:assumed-role/bench/bench</Arn><AssumedRoleId>A:bench</AssumedRoleId></AssumedRoleUser>
<Credentials><AccessKeyId>ASIABENCH</AccessKeyId><SecretAccessKey>bench</SecretAccessKey><SessionToken>bench</SessionToken>
<Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration></Credentials></AssumeRoleResult>
<ResponseMetadata><RequestId>bench</RequestId></ResponseMetadata></AssumeRoleResponse>`

const answer = (message: SinkAnswer): void => void process.send?.(message)

process.on('message', (request: SinkRequest) => {
  switch (request.kind) {
    case 'count':
      return answer({ kind: 'count', records, calls, latency: latencies.latency() })
    case 'reset':
      return latencies.reset()
    case 'mode':
      accepts = request.accepts
      return undefined
  }
})
process.on('disconnect', () => process.exit(0))

server.listen(0, '127.0.0.1', () => {
  answer({ kind: 'listening', port: (server.address() as AddressInfo).port })
})
