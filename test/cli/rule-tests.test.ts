import { describe, expect, test } from 'vitest'
import { runRuleTests } from '../../src/cli/rules/rule-tests.ts'
import { kinesis, republish, ruleWith } from '../helpers/engine-parts.ts'
import { testEnvironment } from '../helpers/messages.ts'

const message = { topic: 'dt/7', payload: { temp: 61.5 } }
const sql = "SELECT temp FROM 'dt/+' WHERE temp > 50"
const headers = {
  contentType: 'application/json',
  correlationData: 'AQI=',
  messageExpiry: '60',
  userProperties: [{ key: 'device', value: '${topic(2)}' }],
}

function run(actions: readonly object[], expected: object, members: object = {}) {
  const tests = [{ name: 'it', message, expect: { matched: true, ...expected }, ...members }]
  return runRuleTests(ruleWith('r', sql, actions), Buffer.from(JSON.stringify(tests)), {
    environment: testEnvironment,
    nowMs: 0,
  })
}

async function problemsOf(...given: Parameters<typeof run>): Promise<readonly string[]> {
  return (await run(...given)).flatMap(({ problems }) => problems)
}

const alarm = republish('alarms/${topic(2)}', { qos: 1, headers })
const basicIngest = republish('$$aws/rules/other/x/${topic(2)}')

describe('what a rule republishes', () => {
  test.each<[string, readonly object[], readonly object[]]>([
    ['is named by its topic', [alarm], [{ topic: 'alarms/7' }]],
    ['and its QoS', [alarm], [{ topic: 'alarms/7', qos: 1 }]],
    ['has QoS 0 by default', [republish('a')], [{ topic: 'a', qos: 0 }]],
    [
      'and some of its properties',
      [alarm],
      [{ topic: 'alarms/7', mqtt5: { contentType: 'application/json' } }],
    ],
    [
      'and all of them',
      [alarm],
      [
        {
          topic: 'alarms/7',
          mqtt5: {
            contentType: 'application/json',
            correlationDataBase64: 'AQI=',
            messageExpirySeconds: 60,
            userProperties: [['device', '7']],
          },
        },
      ],
    ],
    ['goes to a rule by its name', [basicIngest], [{ topic: '$aws/rules/other/x/7' }]],
    [
      'stands in the order of actions, without records',
      [basicIngest, kinesis(), alarm],
      [{ topic: '$aws/rules/other/x/7' }, { topic: 'alarms/7' }],
    ],
    ['may be nothing', [kinesis()], []],
  ])('%s', async (_name, actions, republished) => {
    expect(await problemsOf(actions, { republished })).toEqual([])
  })

  test.each<[string, object, readonly string[]]>([
    [
      'another topic and QoS',
      { republished: [{ topic: 'alarms/8', qos: 0 }] },
      [
        'republished[0].topic is "alarms/7", expected "alarms/8"',
        'republished[0].qos is 1, expected 0',
      ],
    ],
    ['nothing', { republished: [] }, ['it republished 1 messages, expected 0']],
    [
      'two messages',
      { republished: [{ topic: 'alarms/7' }, { topic: 'x' }] },
      ['it republished 1 messages, expected 2'],
    ],
    [
      'other properties',
      {
        republished: [
          {
            topic: 'alarms/7',
            mqtt5: { responseTopic: 'a', userProperties: [['device', '8']] },
          },
        ],
      },
      [
        'republished[0].mqtt5.responseTopic is absent, expected "a"',
        'republished[0].mqtt5.userProperties is [["device","7"]], expected [["device","8"]]',
      ],
    ],
    ['a match of nothing', { matched: false }, ['it matched and should not']],
  ])('is not %s', async (_name, expected, problems) => {
    expect(await problemsOf([alarm], expected)).toEqual(problems)
  })

  test('is told why it is missing, once', async () => {
    const failing = [republish('a/${topic(2)}/${absent}#')]
    const problems = await problemsOf(failing, { records: [], republished: [{ topic: 'a/7' }] })
    expect(problems).toEqual([
      expect.stringMatching(/^actions\[0\]\.republish\.topic: .*wildcards/),
      'it republished 0 messages, expected 1',
    ])
  })

  test('may be left out: only what a test names is compared', async () => {
    const expected = { output: { temp: 61.5 }, records: [{ streamName: 's' }] }
    expect(await problemsOf([kinesis(), alarm], expected)).toEqual([])
    const without = await run([alarm], { republished: [] }, { expect: { matched: true } })
    expect(without).toEqual([{ name: 'it', problems: [] }])
  })

  test.each([
    [{ republished: [{ qos: 1 }] }, /republished\[0\].*topic|topic/],
    [{ republished: [{ topic: 'a', payload: 1 }] }, /payload/],
    [{ republished: [{ topic: 'a', qos: 2 }] }, /qos/],
    [{ republished: [{ topic: 'a', mqtt5: { contenttype: 'x' } }] }, /contenttype/],
    [{ messages: [] }, /messages/],
  ])('is not described by %j', async (expected, message_) => {
    await expect(run([alarm], expected)).rejects.toThrow(message_)
  })
})

test('messages may have the topics that MQTT clients may have', async () => {
  const topic = `dt/${'x'.repeat(300)}`
  const tests = [{ name: 'it', message: { ...message, topic }, expect: { matched: true } }]
  const bytes = Buffer.from(JSON.stringify(tests))
  const options = { environment: testEnvironment, nowMs: 0 }
  const rule = ruleWith('r', sql, [])
  await expect(runRuleTests(rule, bytes, options)).rejects.toThrow(/longer than 256 bytes/)
  const topicLimits = { topicBytesMax: 303, topicSlashesMax: 7 }
  expect(await runRuleTests(rule, bytes, { ...options, topicLimits })).toEqual([
    { name: 'it', problems: [] },
  ])
})
