import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Message } from '../../src/message.ts'
import { engineWith, keysOf, kinesis, republish, ruleWith } from '../helpers/engine-parts.ts'
import { messageWith } from '../helpers/messages.ts'

const topicsOf = (messages: readonly Message[]) => messages.map(({ topic }) => topic)
const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('a republished message', () => {
  test('runs through the rules, and its records are one append with those of the first', async () => {
    const { engine, appended, distributed } = engineWith([
      ruleWith('first', "SELECT n + 1 AS n FROM 'a/b'", [
        republish('again/${n}'),
        kinesis({ partitionKey: 'first' }),
      ]),
      ruleWith('second', "SELECT * FROM 'again/#'", [
        kinesis({ partitionKey: '${topic(2)}-${n}' }),
      ]),
    ])
    await engine.ingest(messageWith({ payload: { n: 1 } }))
    expect(appended.map(keysOf)).toEqual([['first', '1-2']])
    expect(appended[0]?.[1]?.data.toString()).toBe('{"n":2}')
    await settled()
    expect(distributed).toMatchObject([{ topic: 'again/1', qos: 0, retain: false }])
  })

  test('reaches subscribers only after the records are durable', async () => {
    const { engine, distributed, failWith } = engineWith([
      ruleWith('r', "SELECT * FROM 'a/b'", [republish('c'), kinesis()]),
    ])
    failWith(new Error('disk is full'))
    await expect(engine.ingest(messageWith())).rejects.toThrow('disk is full')
    await settled()
    expect(distributed).toEqual([])
  })

  test('is published by the role: what rules see of its sender is as on AWS', async () => {
    const seen = 'SELECT clientid() AS c, principal() AS p, sourceip() AS i, traceid() AS t'
    const { engine, appended } = engineWith([
      ruleWith('a', "SELECT * FROM 'a/b'", [republish('c')]),
      ruleWith('b', `${seen}, timestamp() AS at FROM 'c'`, [kinesis()]),
    ])
    await engine.ingest(messageWith({ principal: 'p', sourceIp: '192.0.2.1', traceId: 't' }))
    expect(appended[0]?.[0]?.data.toString()).toBe('{"c":"n/a","at":1700000000000}')
  })

  test('carries headers that rules can read', async () => {
    const headers = {
      payloadFormatIndicator: 'UTF8_DATA',
      contentType: '${type}',
      responseTopic: '${nothing}',
      correlationData: "${encode('id', 'base64')}",
      messageExpiry: '60',
      userProperties: [{ key: 'from', value: '${topic()}' }],
    }
    const sql = ['format_indicator', 'content_type', 'response_topic', 'correlation_data'].map(
      (name) => `get_mqtt_property('${name}') AS ${name}`,
    )
    const { engine, appended, distributed } = engineWith([
      ruleWith('a', "SELECT * FROM 'a/b'", [republish('c', { qos: 1, headers })]),
      ruleWith('b', `SELECT ${sql.join(', ')}, get_user_properties('from') AS u FROM 'c'`, [
        kinesis(),
      ]),
    ])
    await engine.ingest(messageWith({ payload: { type: 'text/x' } }))
    expect(JSON.parse(appended[0]?.[0]?.data.toString() ?? '')).toEqual({
      format_indicator: 'UTF8_DATA',
      content_type: 'text/x',
      correlation_data: 'aWQ=',
      u: ['a/b'],
    })
    await settled()
    expect(distributed).toMatchObject([{ qos: 1, mqtt5: { messageExpirySeconds: 60 } }])
  })

  test('may be Basic Ingest for another rule; subscribers get none of it', async () => {
    const { engine, appended, distributed } = engineWith([
      ruleWith('a', "SELECT * FROM 'a/b'", [republish('$$aws/rules/b/x/${topic()}')]),
      ruleWith('b', 'SELECT *', [kinesis({ partitionKey: '${topic()}' })]),
    ])
    await engine.ingest(messageWith())
    expect(appended.map(keysOf)).toEqual([['x/a/b']])
    await settled()
    expect(distributed).toEqual([])
  })
})

test('whatever rules republish to, a message ends, and each one sent on is seen by its rule', async () => {
  const topic = fc.nat({ max: 4 })
  const graph = fc.array(fc.array(topic, { maxLength: 3 }), { minLength: 5, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(graph, topic, async (targets, start) => {
      const rules = targets.map((ofRule, index) =>
        ruleWith(`r${index}`, `SELECT * FROM 't/${index}'`, [
          kinesis(),
          ...ofRule.map((target) => republish(`t/${target}`)),
        ]),
      )
      const { engine, appended, distributed } = engineWith(rules)
      await engine.ingest(messageWith({ topic: `t/${start}` }))
      expect(appended).toHaveLength(1)
      expect(appended[0]).toHaveLength(1 + distributed.length)
      expect(distributed.length).toBeLessThanOrEqual(100)
      expect(Math.max(0, ...distributed.map((each) => each.republishDepth ?? 0))).toBeLessThan(11)
    }),
  )
})

test('publishers are held while a thousand messages wait for their subscribers', async () => {
  const republishing = ruleWith('r', "SELECT * FROM 'a/b'", [republish('c')])
  const taken: (() => void)[] = []
  const { engine } = engineWith([republishing], {
    distribute: (_message, kept) => {
      kept()
      return new Promise((resolve) => taken.push(resolve))
    },
  })
  const settledCount = { value: 0 }
  const publish = async () => {
    await engine.ingest(messageWith())
    settledCount.value += 1
  }
  const published = Array.from({ length: 1_002 }, publish)
  await settled()
  expect([settledCount.value, taken.length]).toEqual([999, 1_002])
  for (const take of taken.slice(0, 3)) take()
  await Promise.all(published)
})

test('a message is answered when what it republishes is on disk for sessions that last', async () => {
  const republishing = ruleWith('r', "SELECT * FROM 'a/b'", [republish('c')])
  let written: ((fault?: unknown) => void) | undefined
  const { engine } = engineWith([republishing], {
    distribute: (_message, kept) => {
      written = kept
      return new Promise(() => undefined)
    },
  })
  const told: string[] = []
  const ingest = async () => {
    await engine.ingest(messageWith()).then(
      () => told.push('taken'),
      (thrown: Error) => told.push(thrown.message),
    )
  }
  const first = ingest()
  await settled()
  expect(told).toEqual([])
  written?.()
  await first
  const second = ingest()
  await settled()
  written?.(new Error('the disk is full'))
  await second
  expect(told).toEqual(['taken', 'the disk is full'])
})

test('a subscriber that cannot be reached is logged in one line', async () => {
  const republishing = ruleWith('r', "SELECT * FROM 'a/b'", [republish('c')])
  const { engine, logged } = engineWith([republishing], {
    distribute: () => Promise.reject(new Error('the broker stops')),
  })
  await engine.ingest(messageWith())
  await settled()
  expect(logged).toMatchObject([{ level: 'error', topic: 'c' }])
})

describe('rules in a circle', () => {
  test('end after ten republishes in a row, as a failed action', async () => {
    const { engine, appended, distributed, logged } = engineWith([
      ruleWith('circle', "SELECT * FROM 'a/b'", [republish('a/b'), kinesis()]),
    ])
    await engine.ingest(messageWith())
    await settled()
    expect([appended.length, appended[0]?.length, distributed.length]).toEqual([1, 11, 10])
    expect(logged).toMatchObject([{ rule: 'circle', where: 'actions[0].republish' }])
  })

  test('that multiply end when a message was republished a hundred times in all', async () => {
    const twice = [republish('a/b'), republish('a/b'), kinesis()]
    const { engine, appended, distributed, metrics } = engineWith([
      ruleWith('circle', "SELECT * FROM 'a/b'", twice),
    ])
    await engine.ingest(messageWith())
    await settled()
    expect([appended.length, appended[0]?.length]).toEqual([1, 101])
    expect(topicsOf(distributed)).toHaveLength(100)
    expect(await metrics.registry.metrics()).toMatch(
      /sluice_action_failures_total\{rule="circle",action="0"\} \d+/,
    )
  })
})
