import { describe, expect, test } from 'vitest'
import type { Message } from '../../src/message.ts'
import { evaluateRule } from '../../src/engine/evaluate-rule.ts'
import { kinesis, republish, ruleWith } from '../helpers/engine-parts.ts'
import { messageWith, testEnvironment } from '../helpers/messages.ts'

describe('evaluateRule shows what the engine would do, and sends nothing', () => {
  const hot = ruleWith('hot', "SELECT n FROM 'a/+' WHERE n > 1", [
    kinesis({ partitionKey: '${topic(2)}' }),
    republish('${topic()}/hot'),
  ])

  test.each<[string, Message, boolean]>([
    ['topic and WHERE match', messageWith({ payload: { n: 2 } }), true],
    ['WHERE does not', messageWith({ payload: { n: 1 } }), false],
    ['the topic does not', messageWith({ topic: 'b/b', payload: { n: 2 } }), false],
    [
      'Basic Ingest for this rule',
      messageWith({ topic: 'b', payload: { n: 2 }, basicIngestRule: 'hot' }),
      true,
    ],
    ['Basic Ingest for another', messageWith({ payload: { n: 2 }, basicIngestRule: 'x' }), false],
  ])('%s', async (_what, message, matched) => {
    expect((await evaluateRule(hot, message, testEnvironment)).matched).toBe(matched)
  })

  test('output, records and failures', async () => {
    const evaluation = await evaluateRule(hot, messageWith({ payload: { n: 2 } }), testEnvironment)
    expect(evaluation.output?.toString()).toBe('{"n":2}')
    expect(evaluation.outputIsJson).toBe(true)
    expect(evaluation.actions).toMatchObject([
      { kind: 'kinesis', records: [{ partitionKey: 'b' }], messages: [] },
      { kind: 'republish', records: [], messages: [{ topic: 'a/b/hot', qos: 0 }] },
    ])
    expect(evaluation.failures).toEqual([])
  })
})
