import { describe, expect, test } from 'vitest'
import { engineWith, kinesis, republish, ruleWith } from '../helpers/engine-parts.ts'
import { messageWith, testEnvironment } from '../helpers/messages.ts'

const message = messageWith({ payload: { n: 7 }, traceId: 'trace-1' })
const errorAction = kinesis({ streamName: 'errors', partitionKey: '${n}' })
const badKey = kinesis({ partitionKey: '${nothing}' })
const asking =
  "SELECT get_secret('s', 'SecretString', 'k', 'arn:aws:iam::123456789012:role/x') AS s FROM 'a/b'"
const environment = {
  ...testEnvironment,
  callExternal: () => Promise.reject(new Error('access denied')),
}

const key = (index: number) => `${index} actions[${index}].kinesis.partitionKey`

/** The action and the field of each dead letter. */
const placesOf = ({ failed }: ReturnType<typeof engineWith>) =>
  failed.map(({ actionIndex, failed: why }) => `${actionIndex} ${why?.field}`)

test('a failed action becomes a dead letter with rule, field, reason, result and message', async () => {
  const engine = engineWith([
    ruleWith('r', "SELECT n + 1 AS n FROM 'a/b'", [kinesis(), badKey], {}),
  ])
  await engine.engine.ingest(message)
  expect(engine.appended).toMatchObject([[{ actionIndex: 0 }]])
  expect(engine.failed).toMatchObject([
    {
      ruleName: 'r',
      actionIndex: 1,
      data: Buffer.from('{"n":8}'),
      source: { messageId: 'trace-1', topic: 'a/b', clientId: 'c1', payload: message.payload },
      failed: {
        code: 'TemplateFailed',
        message: 'the partition key is empty',
        field: 'actions[1].kinesis.partitionKey',
      },
    },
  ])
})

describe('what becomes a dead letter', () => {
  const failing = kinesis({ partitionKey: '${alsoNothing}' })
  const circle = [republish('a/b'), badKey]
  test.each([
    ['nothing where nothing fails', { actions: [kinesis()] }, []],
    ['each failed action', { actions: [badKey, kinesis(), badKey] }, [key(0), key(2)]],
    ['nothing that an error action takes', { actions: [badKey], errorAction }, []],
    ['what a failing error action leaves', { actions: [badKey], errorAction: failing }, [key(0)]],
    [
      'a template that an error action as on AWS does not get',
      { actions: circle, errorAction, scope: 'actions', depth: 10 },
      [key(1)],
    ],
    [
      'each action of a statement that fails',
      { actions: [kinesis(), kinesis()], sql: asking },
      ['0 get_secret()', '1 get_secret()'],
    ],
    [
      'a statement that an error action as on AWS does not get',
      { actions: [kinesis()], sql: asking, errorAction, scope: 'actions' },
      ['0 get_secret()'],
    ],
    ['nothing of a message that WHERE leaves out', { sql: "SELECT * FROM 'a/b' WHERE n > 9" }, []],
  ] as const)('%s', async (_what, given, expected) => {
    const {
      sql = "SELECT * FROM 'a/b'",
      actions = [badKey],
      errorAction: last,
      scope = 'all',
      depth,
    } = {
      sql: undefined,
      actions: undefined,
      errorAction: undefined,
      scope: undefined,
      depth: undefined,
      ...given,
    }
    const rule = ruleWith('r', sql, actions, last === undefined ? {} : { errorAction: last })
    const engine = engineWith([rule], { environment, options: { errorActionScope: scope } })
    await engine.engine.ingest({ ...message, republishDepth: depth })
    expect(placesOf(engine)).toEqual(expected)
  })

  test('a hundred failures of one message at most', async () => {
    const rules = Array.from({ length: 40 }, (_, index) =>
      ruleWith(`r${index}`, "SELECT * FROM 'a/b'", [badKey, badKey, badKey]),
    )
    const engine = engineWith(rules)
    await engine.engine.ingest(message)
    expect(engine.failed).toHaveLength(100)
  })

  test('a failure of a republished message, with that message', async () => {
    const engine = engineWith([
      ruleWith('first', "SELECT * FROM 'a/b'", [republish('next')]),
      ruleWith('second', "SELECT * FROM 'next'", [badKey]),
    ])
    await engine.engine.ingest(message)
    expect(engine.failed).toMatchObject([
      { ruleName: 'second', source: { topic: 'next', republishDepth: 1 } },
    ])
  })

  test('the message is acknowledged when the dead letter is durable, and not before', async () => {
    const engine = engineWith([ruleWith('r', "SELECT * FROM 'a/b'", [badKey])])
    engine.failWith(new Error('disk full'))
    await expect(engine.engine.ingest(message)).rejects.toThrow('disk full')
    expect(engine.failed).toEqual([])
  })
})
