import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { nowMicroseconds, readTime } from './frames.ts'
import { createHistogram } from './histogram.ts'
import type { SinkAnswer, SinkRequest } from './messages.ts'

/**
 * A Kinesis and an STS that acknowledge everything at once and keep nothing. They look for no more
 * than the number of records in a call and the time in one of them, so that the machine's second
 * core is left to the load generator.
 */
const latencies = createHistogram()
const answers = new Map<number, string>()
let records = 0
let calls = 0
let accepts = true

const dataMark = Buffer.from('"Data":"')
const keyMark = Buffer.from('"PartitionKey":')

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
    if (!accepts || (operation !== 'PutRecords' && operation !== 'PutRecord')) {
      response.statusCode = accepts ? 400 : 503
      response.end(`{"__type":"${accepts ? 'AccessDeniedException' : 'ServiceUnavailable'}"}`)
      return
    }
    const count = countOf(body)
    response.end(operation === 'PutRecord' ? entry : answerFor(count))
    records += count
    calls++
    noteLatency(body, count)
  })
})
server.keepAliveTimeout = 60_000

const entry =
  '{"SequenceNumber":"49600000000000000000000000000000000000000000000000000001","ShardId":"shardId-000000000000"}'

function answerFor(count: number): string {
  const known = answers.get(count)
  if (known !== undefined) return known
  const text = `{"FailedRecordCount":0,"Records":[${Array(count).fill(entry).join(',')}]}`
  answers.set(count, text)
  return text
}

function countOf(body: Buffer): number {
  let count = 0
  for (let at = body.indexOf(keyMark); at !== -1; at = body.indexOf(keyMark, at + keyMark.length)) {
    count++
  }
  return count
}

/** Of a random record, so that neither the first of a call nor the last is favoured. */
function noteLatency(body: Buffer, count: number): void {
  let at = 0
  for (let left = Math.floor(Math.random() * count); left >= 0; left--) {
    at = body.indexOf(dataMark, at) + dataMark.length
  }
  const sentAtUs = readTime(Buffer.from(body.toString('latin1', at, at + 32), 'base64'))
  latencies.add(nowMicroseconds() - sentAtUs)
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
