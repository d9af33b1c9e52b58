import { describe, expect, test } from 'vitest'
import { engineWith, kinesis, republish, ruleWith } from './helpers/engine-parts.ts'
import { messageWith, testEnvironment } from './helpers/messages.ts'

const errorAction = kinesis({ streamName: 'errors', partitionKey: '${clientid()}-${n}' })
const message = messageWith({ payload: { n: 7 }, traceId: 'trace-1' })

type Engine = ReturnType<typeof engineWith>
const documentsOf = ({ appended }: Engine) =>
  appended
    .flat()
    .filter(({ actionIndex }) => actionIndex === -1)
    .map(({ data }) => JSON.parse(data.toString()) as object)

test('gets one document for a rule and message, in the form of AWS', async () => {
  const with2Failures = engineWith([
    ruleWith(
      'r',
      "SELECT * FROM 'a/b'",
      [kinesis({ streamName: '${topic()}' }), kinesis(), republish('${nothing}')],
      { errorAction },
    ),
  ])
  await with2Failures.engine.ingest(message)
  expect(with2Failures.appended).toHaveLength(1)
  expect(with2Failures.appended[0]).toMatchObject([
    { destination: { streamName: 's' }, actionIndex: 1 },
    {
      destination: { streamName: 'errors' },
      partitionKey: 'c1-7',
      ruleName: 'r',
      actionIndex: -1,
      origin: { messageId: 'trace-1', topic: 'a/b', payload: message.payload },
    },
  ])
  const [document] = documentsOf(with2Failures)
  expect(document).toEqual({
    ruleName: 'r',
    topic: 'a/b',
    cloudwatchTraceId: 'trace-1',
    clientId: 'c1',
    base64OriginalPayload: message.payload.toString('base64'),
    failures: [
      {
        failedAction: 'KinesisAction',
        failedResource: 'a/b',
        errorMessage: expect.stringMatching(
          /^actions\[0\]\.kinesis\.streamName: "a\/b" is not a stream name/,
        ) as string,
      },
      {
        failedAction: 'RepublishAction',
        failedResource: '',
        errorMessage: 'actions[2].republish.topic: "": the topic is empty',
      },
    ],
  })
  expect(Object.keys(document ?? {})).toEqual([
    'ruleName',
    'topic',
    'cloudwatchTraceId',
    'clientId',
    'base64OriginalPayload',
    'failures',
  ])
})

test('gets nothing where nothing failed', async () => {
  const engine = engineWith([ruleWith('r', "SELECT * FROM 'a/b'", [kinesis()], { errorAction })])
  await engine.engine.ingest(message)
  expect(documentsOf(engine)).toEqual([])
})

test('may republish: rules run on the document, and subscribers get it', async () => {
  const engine = engineWith([
    ruleWith('r', "SELECT * FROM 'a/b'", [kinesis({ streamName: '${nothing}' })], {
      errorAction: republish('errors/${topic()}'),
    }),
    ruleWith('collect', "SELECT ruleName FROM 'errors/#'", [
      kinesis({ partitionKey: '${topic()}' }),
    ]),
  ])
  await engine.engine.ingest(message)
  expect(engine.appended[0]).toMatchObject([{ ruleName: 'collect', partitionKey: 'errors/a/b' }])
  await new Promise((resolve) => setImmediate(resolve))
  expect(engine.distributed).toMatchObject([{ topic: 'errors/a/b' }])
})

test('that fails is counted and logged, and costs nothing else', async () => {
  const engine = engineWith([
    ruleWith('r', "SELECT * FROM 'a/b'", [kinesis({ partitionKey: '${x}' }), kinesis()], {
      errorAction: kinesis({ streamName: '${topic()}' }),
    }),
  ])
  await engine.engine.ingest(message)
  expect(engine.appended[0]).toMatchObject([{ actionIndex: 1 }])
  expect(engine.logged).toMatchObject([
    { where: 'actions[0].kinesis.partitionKey' },
    { where: 'errorAction.kinesis.streamName' },
  ])
  expect(await engine.metrics.registry.metrics()).toContain(
    'sluice_action_failures_total{rule="r",action="errorAction"} 1',
  )
})

describe('which failures it gets', () => {
  const failing = ruleWith('r', "SELECT * FROM 'a/b'", [kinesis({ partitionKey: '${x}' })], {
    errorAction,
  })
  const circle = ruleWith('circle', "SELECT * FROM 'a/b'", [republish('a/b')], { errorAction })
  const asking = ruleWith(
    'asking',
    "SELECT get_secret('s', 'SecretString', 'k', 'arn:aws:iam::123456789012:role/x') AS s FROM 'a/b'",
    [kinesis()],
    { errorAction },
  )
  const environment = {
    ...testEnvironment,
    callExternal: () => Promise.reject(new Error('access denied')),
  }

  test.each([
    ['a template', failing, 'all', ['KinesisAction']],
    ['a template', failing, 'actions', []],
    ['an action', circle, 'all', ['RepublishAction']],
    ['an action', circle, 'actions', ['RepublishAction']],
    ['an external function', asking, 'all', ['FunctionExecution']],
    ['an external function', asking, 'actions', []],
  ] as const)('%s that fails, by scope', async (_what, rule, errorActionScope, failed) => {
    const engine = engineWith([rule], { options: { errorActionScope }, environment })
    await engine.engine.ingest(message)
    const documents = documentsOf(engine) as { failures: { failedAction: string }[] }[]
    const names = documents.flatMap(({ failures }) => failures.map((each) => each.failedAction))
    expect(names).toEqual(failed)
  })
})

test('on a message that came over HTTP, the document has the client id n/a', async () => {
  const { clientId: _none, ...overHttp } = messageWith({ transport: 'http' })
  const engine = engineWith([
    ruleWith('r', "SELECT * FROM 'a/b'", [kinesis({ streamName: '${nothing}' })], {
      errorAction: kinesis(),
    }),
  ])
  await engine.engine.ingest(overHttp)
  expect(documentsOf(engine)).toMatchObject([{ clientId: 'n/a', cloudwatchTraceId: 'uuid-1' }])
})
