import { describe, expect, test } from 'vitest'
import { engineWith, keysOf, kinesis, ruleWith } from '../helpers/engine-parts.ts'
import { messageWith } from '../helpers/messages.ts'

const rule = (name: string, sql: string, ...actions: object[]) =>
  ruleWith(
    name,
    sql,
    actions.map((action) => kinesis(action)),
  )

describe('ingest', () => {
  test('all records of one message are one append, in the order of rules and actions', async () => {
    const { engine, appended } = engineWith([
      rule('a', "SELECT * FROM 'a/b'", { partitionKey: 'a0' }, { partitionKey: 'a1' }),
      rule('b', "SELECT * FROM 'a/b' WHERE n > 1", { partitionKey: 'b0' }),
      rule('c', "SELECT * FROM 'a/b' WHERE n > 2", { partitionKey: 'c0' }),
    ])
    await engine.ingest(messageWith({ payload: { n: 2 } }))
    expect(appended.map(keysOf)).toEqual([['a0', 'a1', 'b0']])
  })

  test('messages enter the outbox in the order of arrival', () => {
    const { engine, appended } = engineWith([
      rule('a', "SELECT * FROM 'a/b'", { partitionKey: '${n}' }),
    ])
    // Nothing is awaited: the place is taken before `ingest` gives its promise.
    for (const n of [1, 2, 3]) void engine.ingest(messageWith({ payload: { n } }))
    expect(appended.flatMap(keysOf)).toEqual(['1', '2', '3'])
  })

  test('ingest rejects when the records cannot be made durable', async () => {
    const { engine, failWith } = engineWith([rule('a', "SELECT * FROM 'a/b'", {})])
    failWith(new Error('disk is full'))
    await expect(engine.ingest(messageWith())).rejects.toThrow('disk is full')
  })

  test.each([
    [0, 'mqtt', 'drop'],
    [1, 'mqtt', 'wait'],
    [2, 'mqtt', 'wait'],
    [0, 'http', 'wait'],
  ] as const)('at QoS %i over %s: %s when the outbox is full', async (qos, transport, whenFull) => {
    const { engine, appendOptions } = engineWith([rule('a', "SELECT * FROM 'a/b'", {})])
    await engine.ingest(messageWith({ qos, transport }))
    expect(appendOptions).toEqual([{ whenFull }])
  })

  test('a message that matches no rule touches no disk', async () => {
    const { engine, appended, failWith } = engineWith([])
    failWith(new Error('must not be called'))
    await engine.ingest(messageWith())
    expect(appended).toEqual([])
  })

  test('a failed action leaves the others alone; it is counted, and logged once a minute', async () => {
    const { engine, appended, logged, metrics, clock } = engineWith([
      rule('a', "SELECT * FROM 'a/b'", { streamName: '${topic()}' }, { partitionKey: 'good' }),
    ])
    for (let count = 0; count < 3; count += 1) await engine.ingest(messageWith())
    expect(appended.map(keysOf)).toEqual([['good'], ['good'], ['good']])
    expect(logged).toHaveLength(1)
    expect(logged[0]).toMatchObject({
      level: 'error',
      rule: 'a',
      where: 'actions[0].kinesis.streamName',
      msg: expect.stringContaining('"a/b" is not a stream name') as string,
    })
    clock.advance(60_000)
    await engine.ingest(messageWith())
    expect(logged[1]).toMatchObject({ suppressed: 2 })
    expect(await metrics.registry.metrics()).toContain(
      'sluice_action_failures_total{rule="a",action="0"} 4',
    )
  })

  describe('Basic Ingest', () => {
    test('runs the one rule that it names, whatever its filter', async () => {
      const { engine, appended } = engineWith([
        rule('a', "SELECT * FROM 'a/b'", { partitionKey: 'a' }),
        rule('b', "SELECT * FROM 'x/y'", { partitionKey: 'b' }),
      ])
      await engine.ingest(messageWith({ basicIngestRule: 'b' }))
      expect(appended.map(keysOf)).toEqual([['b']])
    })

    test('an unknown rule is logged and counted, and the message is acknowledged', async () => {
      const { engine, logged, metrics } = engineWith([])
      await engine.ingest(messageWith({ basicIngestRule: 'nope' }))
      expect(logged).toEqual([expect.objectContaining({ level: 'warn', rule: 'nope' })])
      expect(await metrics.registry.metrics()).toContain(
        'sluice_messages_rejected_total{reason="rule_not_found"} 1',
      )
    })
  })
})
