import {
  CreateEventSourceMappingCommand,
  DeleteEventSourceMappingCommand,
  GetEventSourceMappingCommand,
  LambdaClient,
  ListEventSourceMappingsCommand,
  UpdateEventSourceMappingCommand,
} from '@aws-sdk/client-lambda'
import type { CreateEventSourceMappingCommandInput } from '@aws-sdk/client-lambda'
import { describe, expect, onTestFinished, test } from 'vitest'
import { printing, startMappings, streamArn } from '../../event-source/mapping-parts.ts'
import { kinesisClient, startLab } from '../../lab/lab-fixtures.ts'
import { putTexts } from '../../consumers/consumer-parts.ts'
import { startServer } from '../http-fixtures.ts'
import { admin, startGuarded } from '../guarded-server.ts'

/** AWS's own client against event source mappings on a lab with the streams s and t. */
async function start() {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  lab.ensureStream('t', 1)
  const run = await startMappings(lab, { 'f.mjs': printing(), 'g.mjs': printing() })
  const { url } = await startServer({ dependencies: { eventSourceMappings: run.mappings } })
  const lambda = new LambdaClient({
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    maxAttempts: 1,
  })
  onTestFinished(() => lambda.destroy())
  const create = (input: Partial<CreateEventSourceMappingCommandInput> = {}) =>
    lambda.send(
      new CreateEventSourceMappingCommand({
        FunctionName: 'f',
        EventSourceArn: streamArn('s'),
        StartingPosition: 'TRIM_HORIZON',
        ...input,
      }),
    )
  const state = async (UUID: string | undefined) =>
    (await lambda.send(new GetEventSourceMappingCommand({ UUID }))).State
  const untilState = async (UUID: string | undefined, wanted: string) => {
    while ((await state(UUID)) !== wanted) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return { lab, url, lambda, run, create, untilState }
}

test('a mapping is created, read, listed, updated and deleted', async () => {
  const { lab, lambda, run, create, untilState } = await start()
  const created = await create({ BatchSize: 10 })
  expect(created).toMatchObject({
    UUID: expect.stringMatching(/^[0-9a-f-]{36}$/),
    State: 'Creating',
    StateTransitionReason: 'User action',
    LastProcessingResult: 'No records processed',
    FunctionArn: 'arn:aws:lambda:us-east-1:000000000000:function:f',
    EventSourceArn: streamArn('s'),
    StartingPosition: 'TRIM_HORIZON',
    BatchSize: 10,
    MaximumBatchingWindowInSeconds: 0,
    ParallelizationFactor: 1,
    BisectBatchOnFunctionError: false,
    MaximumRetryAttempts: -1,
    MaximumRecordAgeInSeconds: -1,
    TumblingWindowInSeconds: 0,
    FunctionResponseTypes: [],
    DestinationConfig: { OnFailure: {} },
    $metadata: { httpStatusCode: 202 },
  })
  expect(created.LastModified).toBeInstanceOf(Date)
  const { UUID } = created
  await untilState(UUID, 'Enabled')
  await putTexts(kinesisClient(lab), 's', ['1'])
  await run.until(() => run.texts().length === 1)

  const updated = await lambda.send(
    new UpdateEventSourceMappingCommand({ UUID, Enabled: false, BatchSize: 20 }),
  )
  expect(updated).toMatchObject({ State: 'Disabling', BatchSize: 20 })
  await untilState(UUID, 'Disabled')
  const listed = await lambda.send(new ListEventSourceMappingsCommand({ FunctionName: 'f' }))
  expect(listed.EventSourceMappings).toMatchObject([{ UUID, State: 'Disabled', BatchSize: 20 }])

  const deleted = await lambda.send(new DeleteEventSourceMappingCommand({ UUID }))
  expect(deleted).toMatchObject({ UUID, State: 'Deleting' })
  await expect(untilState(UUID, 'gone')).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
    Type: 'User',
    $metadata: { httpStatusCode: 404 },
  })
})

test('a mapping is made again at once after its deletion', async () => {
  const { lambda, create, untilState } = await start()
  const { UUID } = await create()
  await untilState(UUID, 'Enabled')
  const deleted = await lambda.send(new DeleteEventSourceMappingCommand({ UUID }))
  const again = await create()
  expect(deleted.State).toBe('Deleting')
  expect(again.UUID).not.toBe(UUID)
  await untilState(again.UUID, 'Enabled')
})

test('a list has pages and filters', async () => {
  const { lambda, create } = await start()
  await create()
  await create({ FunctionName: 'g' })
  await create({ EventSourceArn: streamArn('t') })
  const first = await lambda.send(new ListEventSourceMappingsCommand({ MaxItems: 2 }))
  const { NextMarker: Marker } = first
  const second = await lambda.send(new ListEventSourceMappingsCommand({ MaxItems: 2, Marker }))
  const ofS = await lambda.send(
    new ListEventSourceMappingsCommand({ EventSourceArn: streamArn('s') }),
  )
  expect(first.EventSourceMappings).toHaveLength(2)
  expect(second.EventSourceMappings).toHaveLength(1)
  expect(second.NextMarker).toBeUndefined()
  expect(ofS.EventSourceMappings).toHaveLength(2)
})

describe('a request is refused for', () => {
  const aws = 'arn:aws:lambda:us-east-1:123456789012:function:elsewhere'
  const inTheFuture = new Date(Date.now() + 3_600_000)
  test.each([
    [
      'no such stream',
      { EventSourceArn: streamArn('x') },
      'InvalidParameterValueException',
      /^Stream not found: arn/,
    ],
    [
      'no such consumer',
      { EventSourceArn: `${streamArn('s')}/consumer/c:1` },
      'InvalidParameterValueException',
      /not found/,
    ],
    [
      'another source',
      { EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q' },
      'InvalidParameterValueException',
      /Unrecognized event source/,
    ],
    [
      'no such function',
      { FunctionName: 'absent' },
      'ResourceNotFoundException',
      /^Function not found: arn.*absent\.mjs/,
    ],
    [
      'a function in AWS',
      { FunctionName: aws },
      'ResourceNotFoundException',
      /the lab invokes no functions in AWS/,
    ],
    ['no function name', { FunctionName: '../f' }, 'ValidationException', /'functionName'/],
    [
      'a batch of none',
      { BatchSize: 0 },
      'ValidationException',
      /^1 validation error detected: Value '0' at 'batchSize' failed to satisfy constraint: Member must have value greater than or equal to 1$/,
    ],
    [
      'a batch too large',
      { BatchSize: 10_001 },
      'ValidationException',
      /less than or equal to 10000/,
    ],
    [
      'too many parallel batches',
      { ParallelizationFactor: 11 },
      'ValidationException',
      /'parallelizationFactor'/,
    ],
    ['too long a window', { MaximumBatchingWindowInSeconds: 301 }, 'ValidationException', /300/],
    [
      'an age that is none',
      { MaximumRecordAgeInSeconds: 30 },
      'InvalidParameterValueException',
      /between 60 and 604800/,
    ],
    [
      'no starting position',
      { StartingPosition: undefined },
      'InvalidParameterValueException',
      /StartingPosition is required/,
    ],
    [
      'a position that is none',
      { StartingPosition: 'NOW' as 'LATEST' },
      'ValidationException',
      /enum value set: \[TRIM_HORIZON, LATEST, AT_TIMESTAMP\]/,
    ],
    [
      'a time without AT_TIMESTAMP',
      { StartingPositionTimestamp: new Date(0) },
      'InvalidParameterValueException',
      /AT_TIMESTAMP/,
    ],
    [
      'a time to come',
      { StartingPosition: 'AT_TIMESTAMP', StartingPositionTimestamp: inTheFuture },
      'InvalidParameterValueException',
      /future/,
    ],
    [
      'a filter that is none',
      { FilterCriteria: { Filters: [{ Pattern: '{"data": 1}' }] } },
      'InvalidParameterValueException',
      /Invalid filter pattern/,
    ],
    [
      'a filter of text, which never accepts anything',
      { FilterCriteria: { Filters: [{ Pattern: '{"data": ["text"]}' }] } },
      'InvalidParameterValueException',
      /data must be an object/,
    ],
    [
      'more filters than the quota',
      {
        FilterCriteria: {
          Filters: Array.from({ length: 6 }, () => ({ Pattern: '{"data": {"a": [1]}}' })),
        },
      },
      'InvalidParameterValueException',
      /6 filters are given; the quota is 5/,
    ],
    [
      'a destination of another service',
      {
        DestinationConfig: {
          OnFailure: { Destination: 'arn:aws:lambda:us-east-1:000000000000:function:f' },
        },
      },
      'InvalidParameterValueException',
      /Unsupported destination arn:aws:lambda/,
    ],
    [
      'a metric of Kafka',
      { MetricsConfig: { Metrics: ['ErrorCount'] } },
      'InvalidParameterValueException',
      /ErrorCount/,
    ],
    [
      'a log of Kafka',
      { LoggingConfig: { SystemLogLevel: 'INFO' } },
      'InvalidParameterValueException',
      /LoggingConfig/,
    ],
    ['a tag of AWS', { Tags: { 'aws:x': '1' } }, 'InvalidParameterValueException', /reserves/],
    ['a member of Kafka', { Topics: ['t'] }, 'InvalidParameterValueException', /Topics/],
    [
      'a destination that is none',
      { DestinationConfig: { OnFailure: { Destination: 'q' } } },
      'ValidationException',
      /'destinationConfig.onFailure.destination'/,
    ],
  ] as const)('%s', async (_, input, name, message) => {
    const { create } = await start()
    const refused = create(input as Partial<CreateEventSourceMappingCommandInput>)
    await expect(refused).rejects.toMatchObject({ name, message: expect.stringMatching(message) })
  })

  test('the same mapping twice, in the words of AWS', async () => {
    const { create } = await start()
    const { UUID } = await create()
    await expect(create()).rejects.toMatchObject({
      name: 'ResourceConflictException',
      message:
        `The event source arn (" ${streamArn('s')} ") and function (" f ") provided mapping ` +
        `already exists. Please update or delete the existing mapping with UUID ${UUID}`,
      $metadata: { httpStatusCode: 409 },
    })
  })

  test('an update to the stream and the function of another mapping', async () => {
    const { create, lambda, untilState } = await start()
    const { UUID: other } = await create()
    const { UUID } = await create({ FunctionName: 'g' })
    await untilState(UUID, 'Enabled')
    const update = new UpdateEventSourceMappingCommand({ UUID, FunctionName: 'f' })
    await expect(lambda.send(update)).rejects.toMatchObject({
      name: 'ResourceConflictException',
      message: expect.stringContaining(other ?? ''),
    })
  })

  test('a body that is no JSON, in the form of Lambda', async () => {
    const { url } = await start()
    const answer = await fetch(`${url}/2015-03-31/event-source-mappings/`, {
      method: 'POST',
      body: '{',
    })
    expect(answer.status).toBe(400)
    expect(answer.headers.get('x-amzn-errortype')).toBe('InvalidParameterValueException')
    expect(await answer.json()).toMatchObject({ Type: 'User', Message: expect.any(String) })
  })
})

test('signatures are for the service lambda', async () => {
  const lab = await startLab()
  const run = await startMappings(lab, {})
  const { port } = await startGuarded({ dependencies: { eventSourceMappings: run.mappings } })
  const lambda = new LambdaClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'eu-central-1',
    credentials: { ...admin },
    maxAttempts: 1,
  })
  onTestFinished(() => lambda.destroy())
  const { EventSourceMappings } = await lambda.send(new ListEventSourceMappingsCommand({}))
  expect(EventSourceMappings).toEqual([])
})
