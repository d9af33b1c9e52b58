import { connect as connectHttp2 } from 'node:http2'
import { request } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { kinesisClient, startLab, stsClient } from '../lab-fixtures.ts'
import { ListStreamsCommand } from '@aws-sdk/client-kinesis'
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts'

const kinesis = {
  'content-type': 'application/x-amz-json-1.1',
  'x-amz-target': 'Kinesis_20131202.CreateStream',
}
const sts = { 'content-type': 'application/x-www-form-urlencoded' }
const create = JSON.stringify({ StreamName: 's', ShardCount: 1 })

async function send(
  port: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method: 'POST', headers }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => resolve({ status: response.statusCode, text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

describe('a web page cannot reach the lab', () => {
  test.each([
    ['by a name that resolves to it', { host: 'evil.example:4567' }],
    ['from another origin', { origin: 'http://evil.example' }],
    ['from a sandboxed frame', { origin: 'null' }],
  ])('%s', async (_, more) => {
    const lab = await startLab()
    const refusedByKinesis = await send(lab.port, { ...kinesis, ...more }, create)
    expect(refusedByKinesis).toMatchObject({ status: 403 })
    expect(JSON.parse(refusedByKinesis.text)).toMatchObject({ __type: 'AccessDeniedException' })
    expect(lab.streams.names()).toEqual([])
    const refusedBySts = await send(lab.port, { ...sts, ...more }, 'Action=GetCallerIdentity')
    expect(refusedBySts.status).toBe(403)
    expect(refusedBySts.text).toContain('<Code>AccessDenied</Code>')
    expect(lab.calls.list()).toEqual([])
  })

  test('over HTTP/2', async () => {
    const lab = await startLab()
    const session = connectHttp2(`http://127.0.0.1:${lab.port}`)
    onTestFinished(() => session.destroy())
    const stream = session.request({
      ...kinesis,
      ':method': 'POST',
      ':authority': 'evil.example:4567',
    })
    stream.end(create)
    const status = await new Promise((resolve) =>
      stream.once('response', (headers) => resolve(headers[':status'])),
    )
    expect(status).toBe(403)
    expect(lab.streams.names()).toEqual([])
  })
})

test.each([
  ['an address', {}, '192.0.2.1:4567'],
  ['localhost', {}, 'localhost:4567'],
  ['the name that the lab listens on', { host: 'localhost' }, 'LocalHost'],
  ['any name where the operator says so', { insecure: true }, 'kinesis.test:4567'],
])('clients reach it by %s', async (_, options, host) => {
  const lab = await startLab(options)
  expect(await send(lab.port, { ...kinesis, host }, create)).toMatchObject({ status: 200 })
})

test('the SDKs reach it over both versions of HTTP', async () => {
  const lab = await startLab()
  for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
    const client = kinesisClient(lab, version)
    expect(await client.send(new ListStreamsCommand({}))).toMatchObject({ StreamNames: [] })
  }
  const identity = await stsClient(lab).send(new GetCallerIdentityCommand({}))
  expect(identity.Account).toBe('000000000000')
})
