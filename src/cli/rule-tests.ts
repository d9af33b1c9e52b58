import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { jsonSlice } from '../admin/json-slice.ts'
import { messageOfRequest, messageRequestSchema } from '../admin/message-request.ts'
import { evaluateRule } from '../engine/run-rule.ts'
import type { Evaluation } from '../engine/run-rule.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import { parseJson } from '../rules/payload.ts'
import { schemaProblem } from '../rules/schema-problem.ts'
import { equals } from '../sql/arithmetic.ts'
import { readJson } from '../sql/json-reader.ts'
import type { SqlEnvironment } from '../sql/sql.ts'

/**
 * The tests beside a rule, `<name>.test.json`: messages, and what the rule makes of them.
 *
 *   [{ "name": "...", "message": <as in /v1/evaluate>,
 *      "expect": { "matched": true, "output": {...}, "records": [{ "streamName", "partitionKey" }] } }]
 */
const expectedRecordSchema = Type.Object(
  { streamName: Type.String(), partitionKey: Type.Optional(Type.String()) },
  { additionalProperties: false },
)

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
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)
const ruleTestsValidator = Compile(Type.Array(ruleTestSchema))
type RuleTest = Static<typeof ruleTestSchema>

export interface RuleTestResult {
  readonly name: string
  /** What is not as expected, one line each; empty when the test passes. */
  readonly problems: readonly string[]
}

/**
 * Runs a rule's tests by the engine's own path. Nothing is sent.
 *
 * @param bytes the test file
 * @param nowMs what `timestamp()` gives for a message that names no time
 * @throws SluiceError (rejects) InvalidRequestException: the file is not what a test file is
 */
export async function runRuleTests(
  rule: CompiledRule,
  bytes: Uint8Array,
  environment: SqlEnvironment,
  nowMs: number,
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
  if (expected.matched !== evaluation.matched) {
    const [failure] = evaluation.failures
    if (failure && !evaluation.matched) return [`${failure.where}: ${failure.message}`]
    return [evaluation.matched ? 'it matched and should not' : 'it did not match and should']
  }
  const problems: string[] = []
  const output = evaluation.output ?? Buffer.alloc(0)
  if (expectedOutput !== undefined && !isSame(expectedOutput, output, evaluation)) {
    problems.push(`output is ${show(output, evaluation)}, expected ${expectedOutput}`)
  }
  if (expected.outputBase64 !== undefined && expected.outputBase64 !== output.toString('base64')) {
    problems.push(`output is ${output.toString('base64')}, expected ${expected.outputBase64}`)
  }
  if (expected.records) problems.push(...recordProblems(expected.records, evaluation))
  return problems
}

function isSame(expected: string, output: Buffer, { outputIsJson }: Evaluation): boolean {
  return outputIsJson && equals(readJson(expected), readJson(output.toString())) === true
}

function show(output: Buffer, { outputIsJson }: Evaluation): string {
  return outputIsJson ? output.toString() : `base64 ${output.toString('base64')}`
}

function recordProblems(
  expected: readonly Static<typeof expectedRecordSchema>[],
  { actions, failures }: Evaluation,
): string[] {
  const records = actions.flatMap((action) => action.records)
  const problems = failures.map(({ where, message }) => `${where}: ${message}`)
  if (records.length !== expected.length) {
    problems.push(`it gave ${records.length} records, expected ${expected.length}`)
  }
  for (const [index, want] of expected.entries()) {
    const got = records[index]
    if (!got) continue
    if (got.destination.streamName !== want.streamName) {
      problems.push(
        `records[${index}].streamName is ${got.destination.streamName}, expected ${want.streamName}`,
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
