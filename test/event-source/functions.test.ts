import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import type { Socket } from 'node:net'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { createFunctions } from '../../src/event-source/functions/functions.ts'
import { parseFunctionName } from '../../src/event-source/functions/function-name.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { numbered, putTexts, temporaryFolder } from '../consumers/consumer-parts.ts'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { startMappings, textsOf } from './mapping-parts.ts'
import type { SentEvent } from './mapping-parts.ts'

function functionsIn(files: Readonly<Record<string, string>>) {
  const directory = temporaryFolder()
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(directory, name), text)
  const lines: Record<string, unknown>[] = []
  const functions = createFunctions(
    { clock: systemClock, logger: createMemoryLogger((line) => lines.push(line)) },
    { directory, region: 'us-east-1', accountId: '000000000000' },
  )
  onTestFinished(() => functions.close())
  const invoke = async (name: string, payload = '{}') =>
    (await functions.find(parseFunctionName(name))).invoke(payload, new AbortController().signal)
  return { directory, functions, lines, invoke }
}

/** Answers how often it was invoked since it was loaded. */
const counting = (answer: string) =>
  `let count = 0; export const handler = async () => ({ answer: '${answer}', count: ++count })`

describe('a module', () => {
  test('keeps what it holds between invocations, and is loaded anew when it changes', async () => {
    const { directory, invoke } = functionsIn({ 'f.mjs': counting('old') })
    const answers = [await invoke('f'), await invoke('f')]
    writeFileSync(path.join(directory, 'f.mjs'), counting('changed'))
    answers.push(await invoke('f'))
    expect(answers.map((answer) => 'payload' in answer && JSON.parse(answer.payload))).toEqual([
      { answer: 'old', count: 1 },
      { answer: 'old', count: 2 },
      { answer: 'changed', count: 1 },
    ])
  })

  test('may call back, and sees its own environment alone', async () => {
    const { invoke } = functionsIn({
      'f.mjs': `export const handler = (event, context, callback) =>
        setTimeout(() => callback(null, { ...event, own: process.env.OWN, path: process.env.PATH }), 1)`,
      'f.json': '{"environment": {"OWN": "yes"}}',
    })
    expect(await invoke('f', '{"a":1}')).toMatchObject({ payload: '{"a":1,"own":"yes"}' })
  })

  test('runs as often as there are invocations at a time', async () => {
    const { invoke } = functionsIn({
      'f.mjs': `export const handler = () => new Promise((done) => setTimeout(done, 50))`,
    })
    const outcomes = await Promise.all(numbered(12).map(() => invoke('f')))
    expect(outcomes.every(({ kind }) => kind === 'returned')).toBe(true)
  })

  test('that floods its output ends with cut lines', async () => {
    const { invoke, lines } = functionsIn({
      'f.mjs': `export const handler = async () => { console.log('x'.repeat(100_000)) }`,
    })
    await invoke('f')
    const [line] = lines
    expect(String(line?.['msg']).length).toBeLessThanOrEqual(16_384)
  })
})

async function emulator(status: number, body: string) {
  const requests: { readonly url: string; readonly body: string }[] = []
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      requests.push({ url: request.url ?? '', body: text })
      response.writeHead(status).end(body)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  return { requests, ...functionsIn({ 'f.json': `{"invokeUrl": "http://127.0.0.1:${port}"}` }) }
}

describe('a Runtime Interface Emulator', () => {
  test('gets the event where it takes invocations, and answers for the function', async () => {
    const { requests, invoke } = await emulator(200, '{"ok":true}')
    const outcome = await invoke('f', '{"a":1}')
    expect(requests).toEqual([
      { url: '/2015-03-31/functions/function/invocations', body: '{"a":1}' },
    ])
    expect(outcome).toMatchObject({ kind: 'returned', payload: '{"ok":true}' })
  })

  test.each([
    [
      'an error of the function',
      200,
      '{"errorType":"TypeError","errorMessage":"no"}',
      { kind: 'failed', errorType: 'TypeError', errorMessage: 'no' },
    ],
    [
      'a result with an empty error',
      200,
      '{"errorMessage":null,"batchItemFailures":[]}',
      { kind: 'returned', payload: '{"errorMessage":null,"batchItemFailures":[]}' },
    ],
    [
      'a result with an error that is no text',
      200,
      '{"errorMessage":{"code":7}}',
      { kind: 'returned', payload: '{"errorMessage":{"code":7}}' },
    ],
    ['a refusal', 400, '', { kind: 'failed' }],
    ['throttling', 429, '', { kind: 'notInvoked' }],
    ['a fault of its own', 502, 'gateway', { kind: 'notInvoked' }],
    [
      'that the runtime has exited',
      502,
      '{"errorType":"Runtime.ExitError","errorMessage":"exit status 1"}',
      { kind: 'failed', errorType: 'Runtime.ExitError' },
    ],
    ['a timeout of its own', 200, 'Task timed out after 3.00 seconds', { kind: 'failed' }],
    ['what is no JSON', 200, '<html>', { kind: 'failed' }],
    ['more than 6 MB', 200, JSON.stringify('x'.repeat(6_300_000)), { kind: 'failed' }],
    ['a redirection', 302, '', { kind: 'notInvoked' }],
    ['nothing', 200, '', { kind: 'returned', payload: 'null' }],
  ])('that answers %s', async (_, status, body, expected) => {
    const { invoke } = await emulator(status, body)
    expect(await invoke('f')).toMatchObject(expected)
  })

  test('that does not answer in time is a failure', async () => {
    const server = createServer(() => undefined).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => server.closeAllConnections())
    onTestFinished(() => void server.close())
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const { invoke } = functionsIn({
      'f.json': `{"invokeUrl": "http://127.0.0.1:${port}", "timeoutSeconds": 0.05}`,
    })
    expect(await invoke('f')).toMatchObject({ kind: 'failed', errorType: 'Sandbox.Timedout' })
  })

  test('that is not there is no failure of the function', async () => {
    const { invoke } = functionsIn({ 'f.json': '{"invokeUrl": "http://127.0.0.1:1"}' })
    expect(await invoke('f')).toMatchObject({ kind: 'notInvoked' })
  })
})

/** A server whose connections a test handles itself, and the function behind it. */
async function rawEmulator(onConnection: (socket: Socket) => void) {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined)
    onTestFinished(() => void socket.destroy())
    onConnection(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  return functionsIn({
    'f.json': `{"invokeUrl": "http://127.0.0.1:${port}", "timeoutSeconds": 20}`,
  })
}

describe('a container that', () => {
  test('ends during an invocation has taken it: this counts as an attempt', async () => {
    const { invoke } = await rawEmulator((socket) => {
      socket.write('HTTP/1.1 100 Continue\r\n\r\n')
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        if (text.includes('{"a":1}')) socket.destroy()
      })
    })
    const outcome = await invoke('f', '{"a":1}')
    expect(outcome).toMatchObject({ kind: 'failed', errorType: 'Runtime.ExitError' })
  })

  test('ends in the middle of its answer has taken it', async () => {
    const { invoke } = await rawEmulator((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{', () => socket.destroy())
      })
    })
    expect(await invoke('f')).toMatchObject({ kind: 'failed', errorType: 'Runtime.ExitError' })
  })

  test('takes calls without saying so gets them after a moment', async () => {
    const { invoke } = await rawEmulator((socket) => {
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        if (text.includes('{"a":1}')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1')
      })
    })
    expect(await invoke('f', '{"a":1}')).toMatchObject({ kind: 'returned', payload: '1' })
  })

  test('is still starting behind a port that is open has taken nothing', async () => {
    const { invoke } = await rawEmulator((socket) => void socket.destroy())
    expect(await invoke('f')).toMatchObject({ kind: 'notInvoked' })
  })
})

test.each([
  ['the module', 'f.mjs', {}],
  ['the settings of a module', 'f.json', { 'f.mjs': counting('x') }],
  ['the settings of a container', 'f.json', {}],
])(
  '%s that is a pipe without a writer is a fault of that function alone',
  async (_, pipe, others) => {
    const { directory, functions, invoke } = functionsIn({ ...others, 'g.mjs': counting('g') })
    const file = path.join(directory, pipe)
    execFileSync('mkfifo', [file])
    const fault = `${file} is not a regular file`
    expect(await functions.describe(parseFunctionName('f'))).toMatchObject({ fault })
    expect(await functions.faultOf(parseFunctionName('f'))).toBe(fault)
    expect(await functions.names()).toContain('g')
    expect(await invoke('g')).toMatchObject({ payload: '{"answer":"g","count":1}' })
    expect(await invoke('f')).toMatchObject({ kind: 'notInvoked' })
  },
)

test('a record that kills its container is found by bisecting, and the shard goes on', async () => {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  await putTexts(kinesisClient(lab), 's', numbered(8))
  const handled: string[] = []
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      const texts = textsOf(JSON.parse(text) as SentEvent)
      if (texts.includes('5')) request.socket.destroy()
      else {
        handled.push(...texts)
        response.end('null')
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const run = await startMappings(lab, {
    'f.json': `{"invokeUrl": "http://127.0.0.1:${port}"}`,
  })
  const uuid = await run.create({
    BisectBatchOnFunctionError: true,
    MaximumRetryAttempts: 0,
    DestinationConfig: { OnFailure: { Destination: 'arn:aws:s3:::bucket' } },
  })
  await run.until(() => handled.length === 7 && run.failures(uuid).length === 1)
  expect(handled).toEqual(numbered(8).filter((text) => text !== '5'))
  expect(run.failures(uuid)).toMatchObject([
    {
      requestContext: { condition: 'RetryAttemptsExhausted' },
      KinesisBatchInfo: { batchSize: 1 },
    },
  ])
})

test.each([
  ['f', { name: 'f' }],
  ['f:live', { name: 'f', qualifier: 'live' }],
  ['123456789012:function:f', { name: 'f' }],
  [
    'arn:aws:lambda:eu-central-1:123456789012:function:f',
    { name: 'f', arn: 'arn:aws:lambda:eu-central-1:123456789012:function:f' },
  ],
  [
    'arn:aws:lambda:eu-central-1:123456789012:function:f:$LATEST',
    {
      name: 'f',
      qualifier: '$LATEST',
      arn: 'arn:aws:lambda:eu-central-1:123456789012:function:f:$LATEST',
    },
  ],
])('%s names a function', (text, expected) => {
  expect(parseFunctionName(text)).toEqual(expected)
})

test('a handler of Powertools for AWS Lambda gets what failed again, and only that', async () => {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  await putTexts(kinesisClient(lab), 's', numbered(6))
  const run = await startMappings(
    lab,
    {},
    { functionsDir: path.join(import.meta.dirname, 'functions') },
  )
  await run.create({
    FunctionName: 'powertools',
    FunctionResponseTypes: ['ReportBatchItemFailures'],
  })
  const records = () =>
    run.logLines.flatMap(({ msg }) => /^RECORD (.*)/.exec(String(msg))?.[1] ?? [])
  await run.until(() => records().filter((text) => text === '5').length === 3)
  // From the record that failed on, as Lambda does: what comes after it is handed over again.
  expect(records().filter((text) => text < '3')).toEqual(['0', '1', '2'])
  expect(records().filter((text) => text === '3')).toEqual(['3'])
})

test('a new folder begins with the sample, and streams that went with the lab are made again', async () => {
  const lab = await startLab()
  const module = new URL('../../functions/print_readings.mjs', import.meta.url)
  const run = await startMappings(
    lab,
    {},
    {
      sample: { functionName: 'print_readings', streamName: 'hot-devices', module },
      makeStream: async (name) => lab.ensureStream(name),
    },
  )
  const copy = readFileSync(path.join(run.functionsDir, 'print_readings.mjs'), 'utf8')
  expect(copy).toBe(readFileSync(module, 'utf8'))
  await run.until(() => lab.streams.names().includes('hot-devices'))
  await putTexts(kinesisClient(lab), 'hot-devices', ['{"temp":61.5}'], () => '7')
  await run.until(() => run.logLines.some(({ function: name }) => name === 'print_readings'))
  const line = run.logLines.find(({ function: name }) => name === 'print_readings')
  expect(line?.['msg']).toMatch(/^shardId-\d{12} {2}7 {2}\{"temp":61\.5\}$/)
})
