import { isDeepStrictEqual } from 'node:util'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { jsonSlice } from '../../base/json-slice.ts'
import {
  messageOfRequest,
  messageRequestSchema,
  mqtt5AsWritten,
  mqtt5Schema,
  topicAsWritten,
} from '../../http/sluice/message-request.ts'
import { evaluateRule } from '../../engine/evaluate-rule.ts'
import type { Evaluation } from '../../engine/evaluate-rule.ts'
import { callProblems, expectedCallSchema } from './call-expectations.ts'
import { noMatchText } from './no-match-text.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import type { Message } from '../../message.ts'
import type { NewRecord } from '../../outbox/outbox.ts'
import type { CompiledRule } from '../../rules/compile-rule.ts'
import { parseJson } from '../../rules/payload.ts'
import { schemaProblem } from '../../base/schema-problem.ts'
import { equals } from '../../sql/values/arithmetic.ts'
import { readJson } from '../../sql/values/json-reader.ts'
import type { SqlEnvironment } from '../../sql/sql.ts'
import { newWork } from '../../sql/values/work.ts'

/**
 * The tests beside a rule, `<name>.test.json`: messages, and what the rule makes of them.
 *
 *   [{ "name": "...", "message": <as in /v1/evaluate>,
 *      "expect": { "matched": true, "output": {...}, "records": [{ "streamName", "partitionKey" }],
 *                  "republished": [{ "topic", "qos", "mqtt5" }],
 *                  "calls": [{ "kind", "operation", "parameters" }] } }]
 *
 * Records, republished messages and calls stand in the order of the rule's actions, all of them;
 * members of one that is expected may be left out, and have any value then. `output` is the data of
 * each record and the payload of each message.
 */
const expectedRecordSchema = Type.Object(
  { streamName: Type.String(), partitionKey: Type.Optional(Type.String()) },
  { additionalProperties: false },
)

const expectedMessageSchema = Type.Object(
  {
    /** As subscribers get it: `$aws/...` where the action's template has `$$aws/...`. */
    topic: Type.String(),
    qos: Type.Optional(Type.Enum([0, 1])),
    mqtt5: Type.Optional(mqtt5Schema),
  },
  { additionalProperties: false },
)
type ExpectedMessage = Static<typeof expectedMessageSchema>

const ruleTestSchema = Type.Object(
  {
    name: Type.String(),
    message: messageRequestSchema,
    expect: Type.Object(
      {
        matched: Type.Boolean(),
        /** Compared as JSON: numbers by exact value, the order of keys does not matter. */
        output: Type.Optional(Type.Unknown()),
        outputBase64: Type.Optional(Type.String()),
        records: Type.Optional(Type.Array(expectedRecordSchema)),
        republished: Type.Optional(Type.Array(expectedMessageSchema)),
        calls: Type.Optional(Type.Array(expectedCallSchema)),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)
export const ruleTestsSchema = Type.Array(ruleTestSchema)
const ruleTestsValidator = Compile(ruleTestsSchema)
type RuleTest = Static<typeof ruleTestSchema>

export interface RuleTestResult {
  readonly name: string
  /** What is not as expected, one line each; empty when the test passes. */
  readonly problems: readonly string[]
}

export interface RuleTestOptions {
  readonly environment: SqlEnvironment
  /** What `timestamp()` gives for a message that names no time, in epoch milliseconds. */
  readonly nowMs: number
  /** Of the messages; absent: AWS IoT's. */
  readonly topicLimits?: TopicLimits
  /** Of a message; absent: AWS IoT's. */
  readonly payloadBytesMax?: number
}

/**
 * Runs a rule's tests by the engine's own path. Nothing is sent.
 *
 * @param bytes the test file
 * @throws SluiceError (rejects) InvalidRequestException: the file is not what a test file is
 */
export async function runRuleTests(
  rule: CompiledRule,
  bytes: Uint8Array,
  { environment, nowMs, topicLimits, payloadBytesMax }: RuleTestOptions,
): Promise<RuleTestResult[]> {
  const tests = parseJson(bytes)
  if (!ruleTestsValidator.Check(tests)) throw schemaProblem(ruleTestsValidator.Errors(tests))
  const text = new TextDecoder().decode(bytes)
  const results: RuleTestResult[] = []
  for (const [index, ruleTest] of tests.entries()) {
    const message = messageOfRequest(ruleTest.message, {
      payloadText: jsonSlice(text, [index, 'message', 'payload']),
      where: `[${index}].message`,
      nowMs,
      topicLimits,
      payloadBytesMax,
    })
    const { accountId } = ruleTest.message
    const evaluation = await evaluateRule(rule, message, {
      ...environment,
      ...(accountId !== undefined && { accountId }),
    })
    const output = jsonSlice(text, [index, 'expect', 'output'])
    const problems = problemsOf(ruleTest.expect, output, evaluation)
    results.push({ name: ruleTest.name, problems })
  }
  return results
}

function problemsOf(
  expected: RuleTest['expect'],
  expectedOutput: string | undefined,
  evaluation: Evaluation,
): string[] {
  // A failure is never what a test expects: it must not pass for a message that does not match.
  const problems = evaluation.failures.map(({ where, message }) => `${where}: ${message}`)
  if (expected.matched !== evaluation.matched) {
    if (problems.length > 0 && !evaluation.matched) return problems
    if (!evaluation.noMatch) return ['it matched and should not']
    const why = noMatchText(evaluation.noMatch).trimEnd().split('\n')
    return [`it did not match and should: ${why[0]}`, ...why.slice(1)]
  }
  const output = evaluation.output ?? Buffer.alloc(0)
  if (expectedOutput !== undefined && !isSame(expectedOutput, output, evaluation)) {
    problems.push(`output is ${show(output, evaluation)}, expected ${expectedOutput}`)
  }
  if (expected.outputBase64 !== undefined && expected.outputBase64 !== output.toString('base64')) {
    problems.push(`output is ${output.toString('base64')}, expected ${expected.outputBase64}`)
  }
  const { records, republished, calls } = expected
  if (records) problems.push(...recordProblems(records, evaluation))
  if (republished) problems.push(...messageProblems(republished, evaluation))
  if (calls) problems.push(...callProblems(calls, evaluation))
  return problems
}

function isSame(expected: string, output: Buffer, { outputIsJson }: Evaluation): boolean {
  return outputIsJson && equals(readJson(expected), readJson(output.toString()), newWork()) === true
}

function show(output: Buffer, { outputIsJson }: Evaluation): string {
  return outputIsJson ? output.toString() : `base64 ${output.toString('base64')}`
}

function recordProblems(
  expected: readonly Static<typeof expectedRecordSchema>[],
  { actions }: Evaluation,
): string[] {
  const records = actions.flatMap((action) => action.records.flatMap(streamRecordOf))
  const problems: string[] = []
  if (records.length !== expected.length) {
    problems.push(`it gave ${records.length} records, expected ${expected.length}`)
  }
  for (const [index, want] of expected.entries()) {
    const got = records[index]
    if (!got) continue
    if (got.streamName !== want.streamName) {
      problems.push(
        `records[${index}].streamName is ${got.streamName}, expected ${want.streamName}`,
      )
    }
    if (want.partitionKey !== undefined && got.partitionKey !== want.partitionKey) {
      problems.push(
        `records[${index}].partitionKey is ${got.partitionKey}, expected ${want.partitionKey}`,
      )
    }
  }
  return problems
}

function streamRecordOf({ destination, partitionKey }: NewRecord) {
  if (destination.kind !== 'kinesis') return []
  return [{ streamName: destination.streamName, partitionKey }]
}

function messageProblems(
  expected: readonly ExpectedMessage[],
  { actions }: Evaluation,
): readonly string[] {
  const messages = actions.flatMap((action) => action.messages)
  const problems: string[] = []
  if (messages.length !== expected.length) {
    problems.push(`it republished ${messages.length} messages, expected ${expected.length}`)
  }
  for (const [index, want] of expected.entries()) {
    const message = messages[index]
    if (!message) continue
    const got = membersOf(asExpectation(message))
    for (const [name, member] of membersOf(want)) {
      if (isDeepStrictEqual(got.get(name), member)) continue
      const found = got.has(name) ? JSON.stringify(got.get(name)) : 'absent'
      problems.push(`republished[${index}].${name} is ${found}, expected ${JSON.stringify(member)}`)
    }
  }
  return problems
}

function asExpectation(message: Message): ExpectedMessage {
  return {
    topic: topicAsWritten(message),
    // A republish action takes no other.
    qos: message.qos === 1 ? 1 : 0,
    mqtt5: mqtt5AsWritten(message.mqtt5 ?? {}),
  }
}

/** By the names that are told to people. */
function membersOf({ mqtt5 = {}, ...members }: ExpectedMessage): ReadonlyMap<string, unknown> {
  return new Map([
    ...Object.entries(members),
    ...Object.entries(mqtt5).map(([name, member]) => [`mqtt5.${name}`, member] as const),
  ])
}
