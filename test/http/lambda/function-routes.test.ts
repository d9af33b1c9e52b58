import {
  CreateEventSourceMappingCommand,
  GetEventSourceMappingCommand,
  GetFunctionCommand,
  GetFunctionConfigurationCommand,
  InvokeCommand,
  LambdaClient,
  ListFunctionsCommand,
  ListTagsCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateEventSourceMappingCommand,
} from '@aws-sdk/client-lambda'
import type { InvokeCommandInput } from '@aws-sdk/client-lambda'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { printing, startMappings, streamArn } from '../../event-source/mapping-parts.ts'
import { putTexts } from '../../consumers/consumer-parts.ts'
import { kinesisClient, startLab } from '../../lab/lab-fixtures.ts'
import { startServer } from '../http-fixtures.ts'
import { startGuarded } from '../guarded-server.ts'
import type { TestKey } from '../guarded-server.ts'

const echo = `export const handler = async (event, context) => {
  console.log('it was called by', context.clientContext?.name)
  console.error('as', context.awsRequestId)
  return { event, function: context.functionName }
}`
const failing = `export const handler = async () => { throw new TypeError('no such member') }`

async function startFunctions(functions: Readonly<Record<string, string>>) {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  const run = await startMappings(lab, functions)
  const { url } = await startServer({
    dependencies: { eventSourceMappings: run.mappings, lambdaFunctions: run.mappings.functions },
  })
  const lambda = new LambdaClient({
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    maxAttempts: 1,
  })
  onTestFinished(() => lambda.destroy())
  const invoke = async (FunctionName: string, input: Partial<InvokeCommandInput> = {}) => {
    const answer = await lambda.send(new InvokeCommand({ FunctionName, ...input }))
    const text = Buffer.from(answer.Payload ?? []).toString()
    return { ...answer, json: text === '' ? undefined : (JSON.parse(text) as unknown) }
  }
  return { lab, run, lambda, invoke, url }
}

const arnOf = (name: string) => `arn:aws:lambda:us-east-1:000000000000:function:${name}`

describe('local functions', () => {
  test('are listed by name, page by page, without other JSON of the folder', async () => {
    const { lambda } = await startFunctions({
      'b.mjs': echo,
      'b.json': '{"timeoutSeconds": 7, "environment": {"PLACE": "roof"}}',
      'a.json': '{"invokeUrl": "http://127.0.0.1:9000"}',
      'package.json': '{"name": "functions"}',
    })
    const first = await lambda.send(new ListFunctionsCommand({ MaxItems: 1 }))
    const Marker = first.NextMarker
    const second = await lambda.send(new ListFunctionsCommand({ MaxItems: 1, Marker }))
    expect(first.Functions).toMatchObject([{ FunctionName: 'a', PackageType: 'Image' }])
    expect(second.Functions).toMatchObject([
      {
        FunctionName: 'b',
        FunctionArn: arnOf('b'),
        Runtime: expect.stringMatching(/^nodejs\d+\.x$/),
        Handler: 'b.handler',
        Timeout: 7,
        MemorySize: 512,
        Environment: { Variables: { PLACE: 'roof' } },
        CodeSize: Buffer.byteLength(echo),
        Version: '$LATEST',
        State: 'Active',
        LastModified: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+\+0000$/),
      },
    ])
    expect(second.NextMarker).toBeUndefined()
  })

  test('are described under every form of their name', async () => {
    const { lambda } = await startFunctions({ 'f.mjs': echo })
    for (const FunctionName of ['f', arnOf('f'), '000000000000:function:f', 'f:prod']) {
      const { Configuration, Tags } = await lambda.send(new GetFunctionCommand({ FunctionName }))
      expect(Configuration?.FunctionName).toBe('f')
      expect(Tags).toEqual({})
    }
    const configuration = await lambda.send(
      new GetFunctionConfigurationCommand({ FunctionName: 'f', Qualifier: 'prod' }),
    )
    expect(configuration.FunctionArn).toBe(`${arnOf('f')}:prod`)
    await expect(
      lambda.send(new GetFunctionCommand({ FunctionName: 'absent' })),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  })
})

const textOf = (length: number) => Buffer.from(JSON.stringify('x'.repeat(length)))

describe('an invocation', () => {
  test('of the default type is answered with the response', async () => {
    const { invoke } = await startFunctions({ 'f.mjs': echo })
    const Payload = Buffer.from('{"n": 1}')
    const answer = await invoke('f', { Payload })
    expect(answer).toMatchObject({
      StatusCode: 200,
      ExecutedVersion: '$LATEST',
      json: { event: { n: 1 }, function: 'f' },
    })
    expect([answer.FunctionError, answer.LogResult]).toEqual([undefined, undefined])
    expect(await invoke(arnOf('f'))).toMatchObject({ json: { event: {} } })
  })

  test('that wants the log gets the end of what the function printed', async () => {
    const { invoke } = await startFunctions({
      'f.mjs': echo,
      'long.mjs': `export const handler = () => console.log('x'.repeat(10_000))`,
    })
    const ClientContext = Buffer.from('{"name": "panel"}').toString('base64')
    const { LogResult = '' } = await invoke('f', { LogType: 'Tail', ClientContext })
    const log = Buffer.from(LogResult, 'base64').toString()
    const [, requestId = ''] = /^START RequestId: (\S+) Version: \$LATEST\n/.exec(log) ?? []
    expect(log).toContain('it was called by panel\n')
    expect(log).toContain(`as ${requestId}\nEND RequestId: ${requestId}\n`)
    expect(log).toMatch(/REPORT RequestId: \S+\tDuration: [\d.]+ ms\t.*Memory Size: 512 MB/)
    const long = await invoke('long', { LogType: 'Tail' })
    expect(Buffer.from(long.LogResult ?? '', 'base64')).toHaveLength(4_096)
  })

  test.each([
    ['throws', failing, { errorType: 'TypeError', errorMessage: 'no such member' }],
    ['exits', 'export const handler = () => process.exit(3)', { errorType: 'Runtime.ExitError' }],
    ['hangs', 'export const handler = () => { for (;;); }', { errorType: 'Sandbox.Timedout' }],
    [
      'has no handler',
      'export const other = 1',
      { errorType: 'Runtime.HandlerNotFound', errorMessage: 'f exports no function named handler' },
    ],
  ])('of a function that %s says so', async (_, text, json) => {
    const { invoke } = await startFunctions({ 'f.mjs': text, 'f.json': '{"timeoutSeconds": 0.3}' })
    expect(await invoke('f')).toMatchObject({ StatusCode: 200, FunctionError: 'Unhandled', json })
  })

  test('of type Event is answered at once, and carried out', async () => {
    const { invoke, run } = await startFunctions({ 'f.mjs': printing() })
    const Payload = Buffer.from('{"Records": [], "id": 7}')
    const answer = await invoke('f', { InvocationType: 'Event', Payload })
    expect(answer).toMatchObject({ StatusCode: 202, json: undefined })
    await run.until(() => run.events().length === 1)
    expect(run.events()).toEqual([{ Records: [], id: 7 }])
  })

  test('of type Event is tried three times', async () => {
    const { invoke, run } = await startFunctions({ 'f.mjs': printing(`throw new Error('no')`) })
    // The pauses of minutes are not waited out here: the log says what is waited for.
    await invoke('f', { InvocationType: 'Event' })
    const retries = () =>
      run.logLines.filter(({ msg }) => msg === 'an asynchronous invocation failed')
    await run.until(() => retries().length === 1)
    expect(retries()).toMatchObject([{ function: 'f', delayMs: 60_000, reason: 'Error: no' }])
  })

  test('of type DryRun runs nothing', async () => {
    const { invoke, run } = await startFunctions({ 'f.mjs': printing() })
    const answer = await invoke('f', { InvocationType: 'DryRun' })
    expect(answer).toMatchObject({ StatusCode: 204, json: undefined })
    await expect(invoke('absent', { InvocationType: 'DryRun' })).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    })
    expect(run.events()).toEqual([])
  })

  test('may be larger than other requests, up to 6 MB', async () => {
    const { invoke } = await startFunctions({
      'f.mjs': 'export const handler = (event) => event.length',
    })
    expect(await invoke('f', { Payload: textOf(5_000_000) })).toMatchObject({ json: 5_000_000 })
    await expect(invoke('f', { Payload: textOf(7_000_000) })).rejects.toMatchObject({
      name: 'RequestTooLargeException',
    })
  })
})

describe('a mapping is made only for a function that loads and has a handler', () => {
  test.each([
    ['a syntax error', 'export const handler = (', /SyntaxError/],
    ['no handler', 'export const other = 1', /exports no function named handler/],
    ['a module that throws', `throw new Error('no config')`, /Error: no config/],
    ['a module that exits', 'process.exit(4)', /exit status 4/],
    ['a module that never ends', 'await new Promise(() => {})', /exit status 13|10 seconds/],
  ])('%s is refused, and the function names it', async (_, text, reason) => {
    const { lambda, run } = await startFunctions({ 'f.mjs': text, 'g.mjs': printing() })
    const create = (FunctionName: string) =>
      lambda.send(
        new CreateEventSourceMappingCommand({
          FunctionName,
          EventSourceArn: streamArn('s'),
          StartingPosition: 'TRIM_HORIZON',
        }),
      )
    await expect(create('f')).rejects.toMatchObject({
      name: 'InvalidParameterValueException',
      message: expect.stringMatching(reason),
    })
    const { Configuration } = await lambda.send(new GetFunctionCommand({ FunctionName: 'f' }))
    expect(Configuration).toMatchObject({
      State: 'Failed',
      StateReason: expect.stringMatching(reason),
    })
    const { UUID } = await create('g')
    await run.until(() => run.mappings.get(String(UUID))['State'] === 'Enabled')
    const update = new UpdateEventSourceMappingCommand({ UUID, FunctionName: 'f' })
    await expect(lambda.send(update)).rejects.toMatchObject({
      name: 'InvalidParameterValueException',
    })
    // Put right, it is taken.
    writeFileSync(path.join(run.functionsDir, 'f.mjs'), echo)
    expect((await create('f')).FunctionArn).toBe(arnOf('f'))
  })

  test('a module that runs for ever is given up after 10 seconds', async () => {
    const { run } = await startFunctions({ 'f.mjs': 'for (;;);' })
    await expect(run.create({})).rejects.toMatchObject({
      code: 'InvalidParameterValueException',
      message: expect.stringMatching(/did not load in 10 seconds/),
    })
  }, 40_000)

  test('the check runs the module once, and the first batch uses it', async () => {
    const { run, lab } = await startFunctions({
      'f.mjs': `console.log('LOADED')\n${printing()}`,
    })
    await run.create({ BatchSize: 1 })
    await putTexts(kinesisClient(lab), 's', ['1'])
    await run.until(() => run.texts().length === 1)
    expect(run.logLines.filter(({ msg }) => msg === 'LOADED')).toHaveLength(1)
  })
})

test('tags, the key and the metrics of a mapping are kept and given back', async () => {
  const { lambda, run, lab } = await startFunctions({ 'f.mjs': printing() })
  const kept = {
    KMSKeyArn: 'arn:aws:kms:us-east-1:000000000000:key/1',
    MetricsConfig: { Metrics: ['EventCount' as const] },
  }
  const created = await lambda.send(
    new CreateEventSourceMappingCommand({
      FunctionName: 'f',
      EventSourceArn: streamArn('s'),
      StartingPosition: 'TRIM_HORIZON',
      DestinationConfig: { OnFailure: { Destination: 'kafka://failures' } },
      Tags: { team: 'plant', site: 'north' },
      ...kept,
    }),
  )
  const { UUID, EventSourceMappingArn: Resource } = created
  expect(created).toMatchObject(kept)
  const tags = async () => (await lambda.send(new ListTagsCommand({ Resource }))).Tags
  expect(await tags()).toEqual({ team: 'plant', site: 'north' })
  await Promise.all([
    lambda.send(new TagResourceCommand({ Resource, Tags: { team: 'office', 'a b': '' } })),
    lambda.send(new TagResourceCommand({ Resource, Tags: { more: '1' } })),
  ])
  await lambda.send(new UntagResourceCommand({ Resource, TagKeys: ['site'] }))
  await lambda.send(new UntagResourceCommand({ Resource, TagKeys: ['more', 'absent'] }))
  expect(await tags()).toEqual({ team: 'office', 'a b': '' })
  await run.until(() => run.mappings.get(String(UUID))['State'] === 'Enabled')
  await lambda.send(new UpdateEventSourceMappingCommand({ UUID, BatchSize: 7 }))
  await run.stop()

  const again = await startMappings(lab, {}, { dataDir: run.dataDir })
  const configuration = again.mappings.get(String(UUID))
  expect(configuration).toMatchObject({ BatchSize: 7, ...kept })
  expect(again.mappings.tags(String(UUID))).toEqual({ team: 'office', 'a b': '' })
  await expect(
    lambda.send(
      new TagResourceCommand({
        Resource,
        Tags: Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`k${index}`, ''])),
      }),
    ),
  ).rejects.toMatchObject({ name: expect.stringMatching(/InvalidParameterValue|Unavailable/) })
  expect((await lambda.send(new GetEventSourceMappingCommand({ UUID }))).UUID).toBe(UUID)
})

const invokerOf = (Resource: string): TestKey => ({
  accessKeyId: 'INVOKER',
  secretAccessKey: 'secret-of-the-invoker',
  statement: { Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource },
})

describe('who may invoke a function', () => {
  const region = 'eu-central-1'
  const resource = `arn:aws:lambda:${region}:123456789012:function:f`
  test.each([
    ['the function', resource, 'f', true],
    ['its alias, by the function', resource, 'f:prod', true],
    ['the function of that name, by the ARN of another account', resource, other('f'), true],
    ['no other function', resource, 'g', false],
    ['not the function, by the ARN of another account', other('f'), other('f'), false],
  ])('%s', async (_, Resource, FunctionName, isAllowed) => {
    const lab = await startLab()
    const run = await startMappings(lab, { 'f.mjs': echo, 'g.mjs': echo })
    const credentials = invokerOf(Resource)
    const { port } = await startGuarded({
      keys: [credentials],
      dependencies: { lambdaFunctions: run.mappings.functions },
    })
    const lambda = new LambdaClient({
      endpoint: `http://127.0.0.1:${port}`,
      region,
      credentials,
      maxAttempts: 1,
    })
    onTestFinished(() => lambda.destroy())
    const outcome = await lambda.send(new InvokeCommand({ FunctionName })).then(
      ({ StatusCode }) => StatusCode,
      (thrown: unknown) => (thrown as Error).name,
    )
    expect(outcome).toBe(isAllowed ? 200 : 'AccessDeniedException')
  })

  function other(name: string) {
    return `arn:aws:lambda:${region}:999999999999:function:${name}`
  }
})
