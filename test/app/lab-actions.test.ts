import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { CreateStreamCommand, KinesisClient, PutRecordCommand } from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { expect, onTestFinished, test } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'

const roleArn = 'arn:aws:iam::000000000000:role/r'
const sqs = {
  sqs: { roleArn, queueUrl: 'https://sqs.us-east-1.amazonaws.com/000000000000/q' },
}
const sns = { sns: { roleArn, targetArn: 'arn:aws:sns:us-east-1:000000000000:t' } }
const location = {
  location: {
    roleArn,
    trackerName: 't',
    deviceId: '${d}',
    latitude: '${lat}',
    longitude: '${lon}',
  },
}
const functionAction = (name: string) => ({
  lambda: { functionArn: `arn:aws:lambda:us-east-1:000000000000:function:${name}` },
})

/** A lab over HTTP, with these variables. */
async function startLab(environment: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-lab-actions-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const config = loadConfig(
    {
      SLUICE_DATA_DIR: path.join(folder, 'data'),
      SLUICE_RULES_DIR: path.join(folder, 'rules'),
      SLUICE_FUNCTIONS_DIR: path.join(folder, 'functions'),
      SLUICE_STUBS_DIR: path.join(folder, 'stubs'),
      SLUICE_MQTT_PORT: '0',
      SLUICE_HTTP_PORT: '0',
      SLUICE_LAB_PORT: '0',
      ...environment,
    },
    'lab',
  )
  const lines: Record<string, unknown>[] = []
  const logger = createMemoryLogger((line) => lines.push(line))
  const app = await startApp({ config, logger, clock: systemClock })
  onTestFinished(() => app.stop())
  const url = `http://127.0.0.1:${app.ports.http}`
  const createRule = async (name: string, actions: readonly object[]) => {
    const body = JSON.stringify({ sql: "SELECT * FROM 'a'", actions })
    const answer = await fetch(`${url}/rules/${name}`, { method: 'POST', body })
    const header = answer.headers.get('x-sluice-actions')
    return { status: answer.status, header, text: await answer.text() }
  }
  const publish = (payload: object) =>
    fetch(`${url}/topics/a?qos=1`, { method: 'POST', body: JSON.stringify(payload) })
  const evaluate = async (sql: string) => {
    const topicRulePayload = { sql, actions: [], awsIotSqlVersion: '2016-03-23' }
    const body = JSON.stringify({ topicRulePayload, message: { topic: 'a', payload: { n: 2 } } })
    const answer = await fetch(`${url}/v1/evaluate`, { method: 'POST', body })
    return (await answer.json()) as Record<string, unknown>
  }
  const write = async (name: string, text: string) => {
    const file = path.join(folder, name)
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, text)
  }
  return { app, folder, url, lines, createRule, publish, evaluate, write }
}

/** An emulator that takes every call. */
async function startEmulator() {
  const calls: { path: string; target: unknown; credential: string; body: string }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const { 'x-amz-target': target, authorization = '' } = request.headers
      const [, credential = ''] = /Credential=([^/]*)/.exec(authorization) ?? []
      calls.push({ path: request.url ?? '', target, credential, body })
      response.setHeader('content-type', 'application/json')
      response.statusCode = request.method === 'PUT' ? 201 : 200
      const { MessageBody = '' } = JSON.parse(body) as { readonly MessageBody?: string }
      const MD5OfMessageBody = createHash('md5').update(MessageBody).digest('hex')
      response.end(JSON.stringify({ MD5OfMessageBody, result: 'created' }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { calls, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

test('a Kafka action that is recorded says that `sluice start` would refuse it', async () => {
  const { lines, createRule } = await startLab({})
  const clientProperties = {
    'bootstrap.servers': 'broker.example:9092',
    'security.protocol': 'SASL_SSL',
    'sasl.mechanism': 'GSSAPI',
  }
  const destinationArn = 'arn:aws:iot:eu-west-1:000000000000:ruledestination/vpc/1'
  const created = await createRule('r', [
    { kafka: { destinationArn, topic: 't', clientProperties } },
  ])
  expect(created).toEqual({ status: 200, header: 'recorded=kafka', text: '' })
  expect(lines.map(({ msg }) => msg)).toContainEqual(
    expect.stringMatching(/^`sluice start` refuses the rule r: sasl\.mechanism GSSAPI .*SCRAM/),
  )
})

test('an emulator is called for its services, and other calls are recorded', async () => {
  const emulator = await startEmulator()
  const { app, url, lines, createRule, publish } = await startLab({
    SLUICE_LAB_AWS_ENDPOINT_URL_SQS: emulator.url,
    SLUICE_LAB_AWS_ENDPOINT_URL_LOCATION: emulator.url,
  })
  const created = await createRule('r', [sqs, location, sns, functionAction('absent')])
  expect(created).toEqual({ status: 200, header: 'recorded=sns,lambda', text: '' })
  expect(lines.map(({ msg }) => msg)).toContain(
    'the lab records the calls of the rule r for sns, lambda instead of making them',
  )
  await publish({ d: 'd1', lat: 1, lon: 2 })
  await app.delivered()
  // The queue is in AWS by its URL, and the emulator is called all the same.
  expect(emulator.calls.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toMatchObject([
    {
      path: '/',
      target: 'AmazonSQS.SendMessage',
      credential: 'test',
      body: expect.stringContaining('"MessageBody":"{') as string,
    },
    { path: '/tracking/v0/trackers/t/positions', credential: 'test' },
  ])
  const answer = await fetch(`${url}/v1/lab/calls`)
  const { calls } = (await answer.json()) as { calls: readonly { kind: string }[] }
  expect(calls.map(({ kind }) => kind).toSorted()).toEqual(['lambda', 'sns'])
})

test('SLUICE_LAB_ACTIONS=strict refuses what would only be recorded, with all reasons', async () => {
  const emulator = await startEmulator()
  const { createRule } = await startLab({
    SLUICE_LAB_ACTIONS: 'strict',
    SLUICE_LAB_AWS_ENDPOINT_URL_SQS: emulator.url,
  })
  expect(await createRule('good', [sqs])).toEqual({ status: 200, header: null, text: '' })
  const { status, text } = await createRule('bad', [sqs, sns, functionAction('absent')])
  expect(status).toBe(400)
  expect(text).toMatch(/actions\[1\]\.sns: .*SLUICE_LAB_ACTIONS=strict/)
  expect(text).toMatch(/actions\[2\]\.lambda: .*put absent\.mjs into /)
})

const documentOf = (endpoint: string) => ({
  openSearch: { roleArn, endpoint, index: 'i', type: '_doc', id: '${d}' },
})
const domain = 'https://search-plant.us-east-1.es.amazonaws.com'

test('a server on loopback that a rule names is called, and a domain is not', async () => {
  const emulator = await startEmulator()
  const { app, createRule, publish } = await startLab({
    // An emulator of AWS has no documents.
    SLUICE_LAB_AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
  })
  const nearby = await createRule('nearby', [documentOf(emulator.url)])
  expect(nearby).toEqual({ status: 200, header: null, text: '' })
  const far = await createRule('far', [documentOf(domain)])
  expect(far.header).toBe('recorded=openSearch')
  await publish({ d: 'd1' })
  await app.delivered()
  expect(emulator.calls).toMatchObject([{ path: '/i/_doc/d1', credential: 'test' }])
})

test('a server that stands in for domains is called for all of them', async () => {
  const emulator = await startEmulator()
  const { app, createRule, publish } = await startLab({
    SLUICE_LAB_AWS_ENDPOINT_URL_OPENSEARCH: emulator.url,
  })
  expect((await createRule('r', [documentOf(domain)])).header).toBeNull()
  await publish({ d: 'd1' })
  await app.delivered()
  expect(emulator.calls).toMatchObject([{ path: '/i/_doc/d1' }])
})

test('external functions run those of the folder, ask emulators, and read stub files', async () => {
  const emulator = await startEmulator()
  const { folder, evaluate, write } = await startLab({
    SLUICE_LAB_AWS_ENDPOINT_URL_SECRETS_MANAGER: emulator.url,
  })
  await write('functions/twice.mjs', 'export const handler = async ({ n }) => 2 * n')
  await write('stubs/dynamodb/devices.json', '[{"id":2,"room":"kitchen"}]')
  const item = `get_dynamodb('devices', 'id', n, '${roleArn}')`
  expect(
    await evaluate(`SELECT aws_lambda('twice', *) AS twice, ${item}.room AS room FROM 'a'`),
  ).toMatchObject({ matched: true, output: { twice: 4, room: 'kitchen' } })
  const secret = `get_secret('s', 'SecretString', '${roleArn}')`
  expect(await evaluate(`SELECT ${secret} AS s FROM 'a'`)).toMatchObject({
    matched: false,
    noMatch: { message: 'get_secret(): the secret has no SecretString' },
  })
  expect(emulator.calls).toMatchObject([
    { target: 'secretsmanager.GetSecretValue', credential: 'test' },
  ])
  const shadow = `get_thing_shadow('t', '${roleArn}')`
  expect(await evaluate(`SELECT ${shadow} AS s FROM 'a'`)).toMatchObject({
    errors: [
      {
        code: 'ExternalFunctionFailed',
        message: expect.stringContaining(
          `make ${path.join(folder, 'stubs/shadows/t.json')} with a shadow document, such as {`,
        ) as string,
      },
    ],
  })
})

test('a service that AWS has ended is recorded, unless its own variable names a server', async () => {
  const emulator = await startEmulator()
  const { app, url, createRule, publish } = await startLab({
    SLUICE_LAB_AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
    SLUICE_LAB_AWS_ENDPOINT_URL_IOT_EVENTS_DATA: emulator.url,
  })
  const { header } = await createRule('r', [
    { iotEvents: { roleArn, inputName: 'i' } },
    { iotAnalytics: { roleArn, channelName: 'c' } },
    {
      salesforce: {
        token: 'x'.repeat(40),
        url: 'https://ingestion-a.b.sfdcnow.com/streams/s/1/event',
      },
    },
  ])
  expect(header).toBe('recorded=iotAnalytics,salesforce')
  await publish({ d: 'd1' })
  await app.delivered()
  expect(emulator.calls).toMatchObject([{ path: '/inputs/messages' }])
  const { calls } = (await (await fetch(`${url}/v1/lab/calls`)).json()) as {
    readonly calls: readonly { readonly kind: string }[]
  }
  expect(calls.map(({ kind }) => kind).toSorted()).toEqual(['iotAnalytics', 'salesforce'])
})

test('the on-failure document of a mapping is sent or recorded, beside its file', async () => {
  const emulator = await startEmulator()
  const { app, folder, url, write } = await startLab({
    SLUICE_LAB_AWS_ENDPOINT_URL_SQS: emulator.url,
    SLUICE_SAMPLE_MAPPING: 'off',
  })
  await write('functions/f.mjs', 'export const handler = () => { throw new Error("no") }')
  await write('functions/g.mjs', 'export const handler = () => { throw new Error("no") }')
  const kinesis = new KinesisClient({
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${app.ports.kinesis}`,
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
    requestHandler: new NodeHttpHandler(),
  })
  onTestFinished(() => kinesis.destroy())
  await kinesis.send(new CreateStreamCommand({ StreamName: 's', ShardCount: 1 }))
  const Data = Buffer.from('{"temp":1}')
  await kinesis.send(new PutRecordCommand({ StreamName: 's', PartitionKey: 'k', Data }))
  const createMapping = async (FunctionName: string, Destination: string) => {
    const body = JSON.stringify({
      FunctionName,
      EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
      StartingPosition: 'TRIM_HORIZON',
      MaximumRetryAttempts: 0,
      DestinationConfig: { OnFailure: { Destination } },
    })
    const answer = await fetch(`${url}/2015-03-31/event-source-mappings`, { method: 'POST', body })
    return ((await answer.json()) as { readonly UUID: string }).UUID
  }
  const mapping = await createMapping('f', 'arn:aws:s3:::bucket')
  await createMapping('g', 'arn:aws:sqs:us-east-1:000000000000:q')
  const calls = async () => {
    const answer = await fetch(`${url}/v1/lab/calls`)
    return ((await answer.json()) as { calls: { parameters: Record<string, string> }[] }).calls
  }
  await expect
    .poll(calls, { timeout: 20_000 })
    .toMatchObject([
      { mapping, kind: 's3', operation: 'PutObject', parameters: { Bucket: 'bucket' } },
    ])
  const [{ parameters } = { parameters: {} }] = await calls()
  const line = await readFile(
    path.join(folder, `data/event-source/failures/${mapping}.ndjson`),
    'utf8',
  )
  expect(parameters['Body']).toBe(line.trim())
  const { payload } = JSON.parse(line) as { readonly payload: string }
  expect(JSON.parse(payload)).toMatchObject({ Records: [{ kinesis: { partitionKey: 'k' } }] })
  await expect
    .poll(() => emulator.calls, { timeout: 20_000 })
    .toMatchObject([
      {
        target: 'AmazonSQS.SendMessage',
        body: expect.stringContaining('KinesisBatchInfo') as string,
      },
    ])
  expect(emulator.calls[0]?.body).not.toContain('payload')
})

test('http actions on loopback are carried out, and others are recorded', async () => {
  const bodies: string[] = []
  const server = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => void bodies.push(chunk.toString()))
    request.on('end', () => response.end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const { app, url, createRule, publish } = await startLab({})
  const near = `http://127.0.0.1:${port}/hook`
  expect(await createRule('near', [{ http: { url: near } }])).toMatchObject({
    status: 200,
    header: null,
  })
  const far = { http: { url: 'https://example.com/${x}', confirmationUrl: 'https://example.com' } }
  expect((await createRule('far', [far])).header).toBe('recorded=http')
  await publish({ x: 1 })
  await app.delivered()
  expect(bodies).toEqual(['{"x":1}'])
  const listed = (await (await fetch(`${url}/v1/lab/calls`)).json()) as { calls: object[] }
  expect(listed.calls).toMatchObject([
    {
      ruleName: 'far',
      kind: 'http',
      operation: 'POST',
      parameters: { url: 'https://example.com/1', body: '{"x":1}' },
    },
  ])
  // Both have their destination, which the lab enables at once.
  const answer = await fetch(`${url}/destinations`)
  const { destinationSummaries } = (await answer.json()) as { destinationSummaries: object[] }
  expect(destinationSummaries).toHaveLength(2)
  expect(destinationSummaries).toEqual(
    expect.arrayContaining(
      [near, 'https://example.com'].map((confirmationUrl) =>
        expect.objectContaining({ status: 'ENABLED', httpUrlSummary: { confirmationUrl } }),
      ),
    ),
  )
})
