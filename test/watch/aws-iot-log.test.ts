import { expect, test } from 'vitest'
import { createMemoryLogger } from '../../src/telemetry/logger.ts'
import { createAwsIotLog } from '../../src/watch/aws-iot-log.ts'
import { createManualClock } from '../helpers/manual-clock.ts'

const of = { messageId: 'trace', topic: 'dt/1', clientId: 'pump', principal: 'abc' }
const action = { ruleName: 'hot', ruleAction: 'KinesisAction', resources: { StreamName: 'hot' } }

function logAt(level: 'DEBUG' | 'INFO' | 'WARN' | 'ERROR') {
  const lines: Record<string, unknown>[] = []
  const logger = createMemoryLogger((line) => lines.push(line))
  const clock = createManualClock()
  const log = createAwsIotLog({ logger, clock, accountIdNow: () => '123456789012' }, level)
  return { log, lines, clock }
}

function writeAll({ log }: ReturnType<typeof logAt>): void {
  log.ruleMatch(of, 'hot')
  log.startingRuleExecution(of, { ruleName: 'hot', ruleAction: 'KinesisAction' })
  log.ruleExecution(of, action)
  log.ruleExecution(of, action, 'AccessDenied: no')
  log.functionExecution(of, { ruleName: 'hot', ruleAction: 'GetThingShadow' }, 'gone')
  log.ruleNotFound(of, 'hot')
  log.ruleMessageThrottled(of, 'hot')
}

test.each([
  ['DEBUG', 7],
  ['INFO', 6],
  ['WARN', 4],
  ['ERROR', 4],
] as const)('at the level %s %d of seven entries are written', (level, count) => {
  const made = logAt(level)
  writeAll(made)
  expect(made.lines).toHaveLength(count)
})

test("the entries have AWS's members in AWS's order", () => {
  const made = logAt('DEBUG')
  writeAll(made)
  const ofPino = new Set(['level', 'time', 'msg'])
  const entries = made.lines.map((line) =>
    Object.entries(line)
      .filter(([name]) => !ofPino.has(name))
      .map(([name, value]) => (typeof value === 'string' ? `${name}=${value}` : name))
      .join(' '),
  )
  const at = /^timestamp=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} /
  expect(entries.every((entry) => at.test(entry))).toBe(true)
  const success = 'traceId=trace accountId=123456789012 status=Success'
  const failure = 'traceId=trace accountId=123456789012 status=Failure'
  const who = 'clientId=pump topicName=dt/1 ruleName=hot'
  expect(entries.map((entry) => entry.replace(at, ''))).toEqual([
    `logLevel=INFO ${success} eventType=RuleMatch ${who} principalId=abc`,
    `logLevel=DEBUG ${success} eventType=StartingRuleExecution ${who} ` +
      'ruleAction=KinesisAction principalId=abc',
    `logLevel=INFO ${success} eventType=RuleExecution ${who} ` +
      'ruleAction=KinesisAction resources principalId=abc',
    `logLevel=ERROR ${failure} eventType=RuleExecution ${who} ` +
      'ruleAction=KinesisAction resources principalId=abc details=AccessDenied: no',
    `logLevel=ERROR ${failure} eventType=FunctionExecution ${who} ` +
      'ruleAction=GetThingShadow principalId=abc details=gone',
    `logLevel=ERROR ${failure} eventType=RuleNotFound ${who} ` +
      'principalId=abc reason=RuleNotFound details=Rule hot not found',
    `logLevel=ERROR ${failure} eventType=RuleMessageThrottled ${who} ` +
      'principalId=abc reason=RuleExecutionThrottled details=Message for Rule hot throttled',
  ])
})

test('100 entries a second and as many errors are written, and the rest is counted', () => {
  const { log, lines, clock } = logAt('INFO')
  for (let index = 0; index < 150; index++) {
    log.ruleMatch(of, 'hot')
    log.ruleNotFound(of, 'hot')
  }
  expect(lines).toHaveLength(200)
  clock.advance(1_000)
  expect(lines.at(-1)).toMatchObject({ leftOut: 100 })
  log.ruleMatch(of, 'hot')
  expect(lines).toHaveLength(202)
})
