import { describe, expect, test } from 'vitest'
import { engineWith, keysOf, kinesis, ruleWith } from '../helpers/engine-parts.ts'
import { messageWith, testEnvironment } from '../helpers/messages.ts'

/** Stands for any fault of a rule: `rand()` calls it. */
function fault(): never {
  throw new RangeError('Invalid string length')
}
const environment = { ...testEnvironment, random: fault }
const errorAction = kinesis({ partitionKey: 'errors' })
const plain = (name: string) =>
  ruleWith(name, "SELECT * FROM 'a/b'", [kinesis({ partitionKey: name })])

describe('a rule that throws affects neither other rules nor the acknowledgement', () => {
  test.each([
    ['in WHERE', "SELECT * FROM 'a/b' WHERE rand() > 0"],
    ['in SELECT', "SELECT rand() AS r FROM 'a/b'"],
    ['in SET', "SET @r = rand() SELECT @r AS r FROM 'a/b'"],
    ['in a nested query', "SELECT (SELECT VALUE rand() FROM *) AS r FROM 'a/b'"],
  ])('%s', async (_where, sql) => {
    const failing = ruleWith('failing', sql, [kinesis()], { errorAction })
    const parts = engineWith([plain('before'), failing, plain('later')], { environment })
    for (let count = 0; count < 3; count += 1) await parts.engine.ingest(messageWith())
    expect(parts.appended.map(keysOf)).toEqual([1, 2, 3].map(() => ['before', 'errors', 'later']))
    expect(parts.logged).toMatchObject([
      { rule: 'failing', code: 'EvaluationFailed', msg: expect.stringContaining('Invalid string') },
    ])
    const metrics = await parts.metrics.registry.metrics()
    expect(metrics).toContain('sluice_rule_evaluations_total{rule="failing",result="failed"} 3')
    const [document] = parts.appended[0]?.filter((record) => record.actionIndex === -1) ?? []
    expect(JSON.parse(document?.data.toString() ?? '')).toMatchObject({
      ruleName: 'failing',
      failures: [
        {
          failedAction: 'RuleExecution',
          errorMessage: expect.stringMatching(
            /^sql: Invalid string length, in rand\(\) at line 1, column \d+$/,
          ) as string,
        },
      ],
    })
  })

  test('in a template', async () => {
    const actions = [kinesis({ partitionKey: '${rand()}' }), kinesis()]
    const failing = ruleWith('failing', "SELECT * FROM 'a/b'", actions, { errorAction })
    const parts = engineWith([failing, plain('other')], { environment })
    await parts.engine.ingest(messageWith())
    expect(parts.appended.map(keysOf)).toEqual([['errors', 'other']])
  })

  test('in a template of the error action', async () => {
    const failing = ruleWith('failing', "SELECT rand() AS r FROM 'a/b'", [kinesis()], {
      errorAction: kinesis({ partitionKey: '${rand()}' }),
    })
    const parts = engineWith([failing, plain('other')], { environment })
    await parts.engine.ingest(messageWith())
    expect(parts.appended.map(keysOf)).toEqual([['other']])
    expect(parts.logged).toMatchObject([
      { where: 'sql' },
      { code: 'ActionFailed', action: 'kinesis', where: 'sql' },
    ])
  })

  test('after the result of an external function', async () => {
    const failing = ruleWith(
      'failing',
      "SELECT aws_lambda('f', *) AS a, rand() AS r FROM 'a/b'",
      [kinesis()],
      { errorAction },
    )
    const parts = engineWith([failing, plain('other')], {
      environment: { ...environment, callExternal: () => Promise.resolve(null) },
    })
    await parts.engine.ingest(messageWith())
    expect(parts.appended.map(keysOf)).toEqual([['errors', 'other']])
  })
})

test('an action that throws fails alone', async () => {
  const twoActions = ruleWith('two', "SELECT * FROM 'a/b'", [kinesis(), kinesis()], { errorAction })
  const [first, second] = twoActions.actions
  if (first === undefined || second === undefined) throw new Error('the rule has two actions')
  const actions = [{ ...first, apply: fault }, second]
  const parts = engineWith([{ ...twoActions, actions }, plain('other')])
  await parts.engine.ingest(messageWith())
  expect(parts.appended[0]?.map(({ actionIndex }) => actionIndex)).toEqual([1, -1, 0])
  expect(parts.logged).toMatchObject([
    { code: 'ActionFailed', where: 'actions[0]', msg: expect.stringContaining('Invalid string') },
  ])
})

test('a template whose text is too long fails its action alone', async () => {
  const rule = ruleWith('long', "SET @t = t SELECT 1 AS one FROM 'a/b'", [
    kinesis({ partitionKey: '${@t}'.repeat(20) }),
    kinesis({ partitionKey: 'short' }),
  ])
  const parts = engineWith([rule])
  await parts.engine.ingest(messageWith({ payload: { t: 't'.repeat(100_000) } }))
  expect(parts.appended.map(keysOf)).toEqual([['short']])
  expect(parts.logged).toMatchObject([{ code: 'TemplateFailed', where: 'actions[0]' }])
})

test('a rule that needs too much work for a message fails alone, with the place in its statement', async () => {
  const sql = "SET @r = r SELECT (SELECT VALUE x IN @r FROM r AS x) AS y FROM 'a/b'"
  const heavy = ruleWith('heavy', sql, [kinesis()], { errorAction })
  const parts = engineWith([plain('before'), heavy, plain('later')])
  const r = Array.from({ length: 20_000 }, (_, index) => index)
  await parts.engine.ingest(messageWith({ payload: { r } }))
  expect(parts.appended.map(keysOf)).toEqual([['before', 'errors', 'later']])
  expect(parts.logged).toMatchObject([
    {
      rule: 'heavy',
      code: 'WorkLimitExceeded',
      msg: expect.stringContaining("in 'IN' at line 1, column 35"),
    },
  ])
})
