import { expect, test } from 'vitest'
import { engineWith, kinesis, republish, ruleWith } from '../helpers/engine-parts.ts'
import { messageWith } from '../helpers/messages.ts'

/** `<level> <event> <rule> <action>` of each entry of AWS IoT's log. */
const shown = (logged: readonly Record<string, unknown>[]) =>
  logged
    .filter(({ eventType }) => eventType !== undefined)
    .map(({ logLevel, eventType, ruleName, ruleAction }) =>
      [logLevel, eventType, ruleName, ruleAction].filter(Boolean).join(' '),
    )

test("what rules make of a message is written as AWS IoT's log entries", async () => {
  const { engine, logged } = engineWith(
    [
      ruleWith('a', "SELECT * FROM 'a/b'", [kinesis(), republish('c')]),
      ruleWith('b', "SELECT * FROM 'a/b' WHERE n > 5", [kinesis()]),
      ruleWith('c', "SELECT * FROM 'a/b'", [kinesis({ streamName: '${topic()}' })]),
    ],
    { awsIotLog: 'DEBUG' },
  )
  await engine.ingest(messageWith({ payload: { n: 1 } }))
  await engine.ingest(messageWith({ basicIngestRule: 'gone' }))
  expect(shown(logged)).toEqual([
    'INFO RuleMatch a',
    'DEBUG StartingRuleExecution a KinesisAction',
    'DEBUG StartingRuleExecution a RepublishAction',
    'INFO RuleExecution a RepublishAction',
    'INFO RuleMatch c',
    'ERROR RuleExecution c KinesisAction',
    'ERROR RuleNotFound gone',
  ])
})

test('records that are dropped because the outbox is full are told of as throttled', async () => {
  const { engine, appendOptions, appended, logged } = engineWith(
    [ruleWith('a', "SELECT * FROM 'a/b'", [kinesis()])],
    { awsIotLog: 'INFO' },
  )
  await engine.ingest(messageWith({ qos: 0 }))
  appendOptions[0]?.onDropped?.(appended[0] ?? [])
  expect(shown(logged)).toEqual(['INFO RuleMatch a', 'ERROR RuleMessageThrottled a'])
})

test('nothing is written unless it is asked for', async () => {
  const { engine, logged } = engineWith([ruleWith('a', "SELECT * FROM 'a/b'", [kinesis()])])
  await engine.ingest(messageWith())
  expect(logged).toEqual([])
})
