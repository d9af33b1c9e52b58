import { describe, expect, test } from 'vitest'
import { sourceOf } from '../../src/engine/run-rule.ts'
import type { GivenUpRecord } from '../../src/delivery/producer.ts'
import { deliveryDefaults as settings, targetOf } from '../../src/outbox/outbox.ts'
import type { NewRecord, StreamDestination } from '../../src/outbox/outbox.ts'
import { engineWith, kinesis, republish, ruleWith } from '../helpers/engine-parts.ts'
import { createHeldAnswers } from '../helpers/held-answers.ts'
import { messageWith, testEnvironment } from '../helpers/messages.ts'

const known: ReadonlySet<string> = new Set(['s', 'errors'])
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
      source: { messageId: 'trace-1', topic: 'a/b', payload: message.payload },
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

test('gets nothing when nothing failed', async () => {
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

test('that fails is counted and logged, and nothing else is affected', async () => {
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

const lost = (members: Partial<NewRecord> = {}): GivenUpRecord => ({
  record: {
    destination: {
      kind: 'kinesis',
      streamName: 's',
      region: 'r',
      credentials: { kind: 'process' },
      settings,
    },
    partitionKey: 'k',
    data: Buffer.of(),
    ruleName: 'r',
    actionIndex: 0,
    source: sourceOf(message, () => 'unused'),
    ...members,
  },
  reason: { code: 'ResourceNotFoundException', message: 'no stream s' },
  attempts: 9,
  firstMs: 1,
  lastMs: 2,
})

const letter = (given: object = {}) => ({
  ruleName: 'r',
  actionIndex: 1,
  data: Buffer.from('as it was'),
  source: sourceOf(message, () => 'unused'),
  ...given,
})

describe('records that are given up', () => {
  const rule = ruleWith('r', "SELECT * FROM 'a/b'", [kinesis(), kinesis({ streamName: 't' })], {
    errorAction,
  })
  const other = sourceOf(messageWith({ payload: { n: 8 }, traceId: 'trace-2' }), () => 'unused')

  test('of one rule and message are replaced by one document', async () => {
    const { engine, appended } = engineWith([rule])
    const { replacements } = await engine.onGivenUp([
      lost(),
      lost({ source: other }),
      lost({
        actionIndex: 1,
        destination: { ...lost().record.destination, streamName: 't' } as StreamDestination,
      }),
    ])
    expect(replacements).toMatchObject([
      [{ actionIndex: -1, partitionKey: 'c1-7', destination: { streamName: 'errors' } }],
      [{ actionIndex: -1, partitionKey: 'c1-8', source: { messageId: 'trace-2' } }],
      [{ actionIndex: -1, partitionKey: 'c1-7' }],
    ])
    expect(replacements[2]).toBe(replacements[0])
    const [record] = replacements[0] ?? []
    expect(JSON.parse(record?.data.toString() ?? '')).toMatchObject({
      ruleName: 'r',
      cloudwatchTraceId: 'trace-1',
      base64OriginalPayload: message.payload.toString('base64'),
      failures: [
        {
          failedAction: 'KinesisAction',
          failedResource: 's',
          errorMessage: 'given up after 9 attempts: ResourceNotFoundException: no stream s',
        },
        { failedResource: 't' },
      ],
    })
    expect(appended).toEqual([])
  })

  test('ask no further external function when nobody waits any more', async () => {
    const held = createHeldAnswers()
    const asking = kinesis({
      streamName: 'errors',
      partitionKey: "${get_thing_shadow('t', 'arn')}",
    })
    const { engine } = engineWith(
      [ruleWith('r', "SELECT * FROM 'a/b'", [kinesis()], { errorAction: asking })],
      { environment: { ...testEnvironment, callExternal: held.call } },
    )
    const stop = new AbortController()
    const answer = engine.onGivenUp([lost(), lost({ source: other })], stop.signal)
    await new Promise((resolve) => setImmediate(resolve))
    expect(held.waiting).toHaveLength(1)
    stop.abort()
    await held.answer(0, 'key')
    expect(await answer).toMatchObject({ replacements: [[{ partitionKey: 'key' }], undefined] })
    expect(held.waiting).toEqual([])
  })

  test('reach the error action whatever its scope', async () => {
    const { engine } = engineWith([rule], { options: { errorActionScope: 'actions' } })
    expect((await engine.onGivenUp([lost()])).replacements[0]).toHaveLength(1)
  })

  test('may be republished, with everything that follows', async () => {
    const { engine, distributed } = engineWith([
      ruleWith('r', "SELECT * FROM 'a/b'", [kinesis()], { errorAction: republish('errors') }),
      ruleWith('collect', "SELECT * FROM 'errors'", [kinesis({ partitionKey: 'collected' })]),
    ])
    const { replacements, onDurable } = await engine.onGivenUp([lost()])
    expect(replacements).toMatchObject([[{ ruleName: 'collect', partitionKey: 'collected' }]])
    expect(distributed).toEqual([])
    onDurable?.()
    expect(distributed).toMatchObject([{ topic: 'errors' }])
  })

  test.each([
    ['the rule has no error action', { ruleName: 'plain' }],
    ['the rule is gone', { ruleName: 'gone' }],
    ['the error action fails', { ruleName: 'failing' }],
    ['it is what an error action sent', { actionIndex: -1 }],
  ])('go to the dead letters when %s', async (_why, given) => {
    const { engine } = engineWith([
      rule,
      ruleWith('plain', "SELECT * FROM 'a/b'", [kinesis()]),
      ruleWith('failing', "SELECT * FROM 'a/b'", [kinesis()], {
        errorAction: kinesis({ partitionKey: '${nothing}' }),
      }),
    ])
    const { replacements } = await engine.onGivenUp([lost(given), lost()])
    expect(replacements).toMatchObject([undefined, [{ actionIndex: -1 }]])
  })
})

describe('a dead letter is replayed', () => {
  const rule = ruleWith(
    'r',
    "SELECT n + 1 AS n FROM 'a/b' WHERE n < 8",
    [kinesis(), kinesis({ partitionKey: 'now' }), republish('${nothing}')],
    { errorAction },
  )

  test('by its own action alone, as the rule is now', async () => {
    const { engine, appended } = engineWith([rule])
    const gathered = await engine.replay(letter())
    expect(gathered).toMatchObject({ records: [{ actionIndex: 1, partitionKey: 'now' }] })
    expect(gathered?.records[0]?.data.toString()).toBe('{"n":8}')
    expect(appended).toEqual([])
  })

  test('with the same document, when it is one of the error action', async () => {
    const { engine } = engineWith([rule])
    const gathered = await engine.replay(letter({ actionIndex: -1 }))
    expect(gathered).toMatchObject({ records: [{ actionIndex: -1, partitionKey: 'c1-7' }] })
    expect(gathered?.records[0]?.data.toString()).toBe('as it was')
  })

  test.each([
    ['the rule is gone', { ruleName: 'gone' }],
    ['the rule has no such action', { actionIndex: 3 }],
    ['the action fails', { actionIndex: 2 }],
    [
      'the rule does not match',
      { source: sourceOf(messageWith({ payload: { n: 9 } }), () => 'unused') },
    ],
  ])('not at all when %s', async (_why, given) => {
    const { engine } = engineWith([rule])
    expect(await engine.replay(letter(given))).toBeUndefined()
  })
})

test('one destination too many fails the action, and nothing else', async () => {
  const engine = engineWith(
    [
      ruleWith(
        'r',
        "SELECT * FROM 'a/b'",
        ['s', 'new', 'newer'].map((streamName) => kinesis({ streamName })),
        {
          errorAction,
        },
      ),
    ],
    // Room for the streams s, errors and one more.
    { admits: (destination, beside) => known.has(targetOf(destination)) || beside?.size === 1 },
  )
  await engine.engine.ingest(message)
  expect(engine.appended[0]?.map(({ destination }) => targetOf(destination))).toEqual([
    's',
    'new',
    'errors',
  ])
  expect(documentsOf(engine)).toMatchObject([{ failures: [{ failedResource: 'newer' }] }])
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
