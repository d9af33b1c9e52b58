import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { shownCall } from '../../aws/call/service-call.ts'
import { defined } from '../../base/defined.ts'
import type { Clock } from '../../base/clock.ts'
import { evaluateRule } from '../../engine/evaluate-rule.ts'
import type { Evaluation } from '../../engine/evaluate-rule.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { hashKeyOf } from '../../base/hash-key.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import { payloadBytesMaxDefault } from '../../message.ts'
import type { Message } from '../../message.ts'
import type { NewRecord } from '../../outbox/outbox.ts'
import type { CompileRule, CompiledRule } from '../../rules/compile-rule.ts'
import { parseJson, readPayload, ruleNamePattern } from '../../rules/payload.ts'
import type { RuleStore } from '../../rules/rule-store.ts'
import { schemaProblem } from '../../base/schema-problem.ts'
import type { SqlEnvironment } from '../../sql/sql.ts'
import { compileTemplate } from '../../sql/template.ts'
import type { CompiledTemplate } from '../../sql/template.ts'
import { bodyBytes } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { jsonSlice } from '../../base/json-slice.ts'
import { messageOfRequest, messageRequestSchema, topicAsWritten } from './message-request.ts'
import { ruleReadErrors } from './sluice-api.ts'

/** `POST /v1/evaluate`: what a rule would do with a message, by the same code as in the engine. */
export interface EvaluateDependencies {
  readonly rules: Pick<RuleStore, 'byName'>
  readonly compile: CompileRule
  readonly environment: SqlEnvironment
  readonly clock: Clock
  /** By default AWS IoT's limits. */
  readonly topicLimits?: TopicLimits | undefined
  /** Bytes of a payload; by default AWS IoT's limit. */
  readonly payloadBytesMax?: number | undefined
}

const templatesMax = 100
/** A payload of 128 KiB, a message of 128 KiB as base64 or with escapes, and room for both. */
const bodyBytesMin = 524_288
/** Larger messages need more, so that each of them can be tried that a device may send. */
const bodyBytesOfPayloadByte = 4
/**
 * Stands for the name of a rule that is given without one. The blank keeps topics from naming it.
 */
const unnamedRule = 'unnamed rule'

const evaluateRequestSchema = Type.Object(
  {
    topicRulePayload: Type.Optional(Type.Unknown()),
    ruleName: Type.Optional(Type.String({ pattern: ruleNamePattern })),
    templates: Type.Optional(Type.Array(Type.String(), { maxItems: templatesMax })),
    message: messageRequestSchema,
  },
  { additionalProperties: false },
)
const requestValidator = Compile(evaluateRequestSchema)

/** The members of WherePart, whose `parts` have the same form. */
const wherePartSchema = Type.Object({
  text: Type.String({ description: 'The part as it stands in the statement.' }),
  line: Type.Integer(),
  column: Type.Integer(),
  value: Type.Object({
    type: Type.String({ description: 'A type of AWS IoT SQL, `Number`, or `Unknown`.' }),
    json: Type.Optional(
      Type.String({ description: 'The value as JSON, cut off when it is long.' }),
    ),
  }),
  note: Type.Optional(Type.String({ description: 'Why the value is what it is.' })),
  parts: Type.Array(Type.Unknown(), { description: 'Operands, each in this form again.' }),
})

const noMatchSchema = Type.Object({
  reason: Type.Enum(['topic', 'where', 'externalFunction', 'failed']),
  message: Type.String(),
  where: Type.Optional(wherePartSchema),
})

const evaluationSchema = Type.Object({
  matched: Type.Boolean(),
  noMatch: Type.Optional(noMatchSchema),
  output: Type.Optional(Type.Unknown({ description: 'The outgoing payload, when it is JSON.' })),
  outputBase64: Type.Optional(Type.String({ description: 'The exact bytes an action would get.' })),
  actions: Type.Array(
    Type.Object({
      kinesis: Type.Optional(
        Type.Object({
          streamName: Type.String(),
          partitionKey: Type.String(),
          explicitHashKey: Type.Optional(Type.String()),
          hashKey: Type.String({ description: 'The predicted 128-bit hash, decimal.' }),
        }),
      ),
      republish: Type.Optional(Type.Object({ topic: Type.String(), qos: Type.Integer() })),
    }),
  ),
  templates: Type.Array(Type.Union([Type.String(), Type.Null()]), {
    description: 'The expanded templates in the order given; null for a template that failed.',
  }),
  errors: Type.Array(
    Type.Object({ code: Type.String(), message: Type.String(), where: Type.String() }),
  ),
})

const evaluate = {
  operation: {
    id: 'Evaluate',
    summary: 'Tries a rule on a message; nothing is sent.',
    body: { schema: evaluateRequestSchema },
    answer: { description: 'What the rule would do.', schema: evaluationSchema },
    errors: ['SqlParseException', ...ruleReadErrors],
  },
} satisfies FastifySchema

export function addEvaluateRoute(app: HttpApp, dependencies: EvaluateDependencies): void {
  const { payloadBytesMax = payloadBytesMaxDefault } = dependencies
  const bodyLimit = Math.max(bodyBytesMin, bodyBytesOfPayloadByte * payloadBytesMax)
  app.post('/v1/evaluate', { schema: evaluate, bodyLimit }, async (request, reply) => {
    return reply
      .type('application/json; charset=utf-8')
      .send(await evaluateRequest(bodyBytes(request), dependencies))
  })
}

/**
 * @param body a request as UTF-8 JSON, form: `evaluateRequestSchema`
 * @returns the answer as JSON
 * @throws SluiceError (rejects) InvalidRequestException, SqlParseException: naming the part of the
 *   request that cannot be used; ResourceNotFoundException: no rule has that name
 */
async function evaluateRequest(
  body: Uint8Array,
  dependencies: EvaluateDependencies,
): Promise<string> {
  const { rule, message, environment, templates } = readRequest(body, dependencies)
  return answerText(await evaluateRule(rule, message, environment, templates))
}

interface EvaluateRequest {
  readonly rule: CompiledRule
  readonly message: Message
  readonly environment: SqlEnvironment
  readonly templates: readonly CompiledTemplate[]
}

function readRequest(body: Uint8Array, dependencies: EvaluateDependencies): EvaluateRequest {
  const json = parseJson(body)
  if (!requestValidator.Check(json)) throw schemaProblem(requestValidator.Errors(json))
  const rule = ruleOf(json.topicRulePayload, json.ruleName, dependencies)
  const message = messageOfRequest(json.message, {
    payloadText: jsonSlice(new TextDecoder().decode(body), ['message', 'payload']),
    where: 'message',
    nowMs: dependencies.clock.wallMs(),
    topicLimits: dependencies.topicLimits,
    payloadBytesMax: dependencies.payloadBytesMax,
  })
  const { accountId } = json.message
  return {
    rule,
    message,
    environment: { ...dependencies.environment, ...defined({ accountId }) },
    templates: (json.templates ?? []).map((text, index) => templateOf(text, rule, index)),
  }
}

function ruleOf(
  payload: unknown,
  ruleName: string | undefined,
  { rules, compile, clock }: EvaluateDependencies,
): CompiledRule {
  if (payload !== undefined) {
    const createdAt = Math.floor(clock.wallMs() / 1_000)
    const name = ruleName ?? unnamedRule
    return compile({ name, ...readPayload(payload), createdAt, tags: {} })
  }
  if (ruleName === undefined) {
    throw new SluiceError(
      'InvalidRequestException',
      'topicRulePayload is missing; ruleName may stand in its place',
    )
  }
  const rule = rules.byName(ruleName)
  if (rule) return rule
  throw new SluiceError('ResourceNotFoundException', `there is no rule named ${ruleName}`)
}

function templateOf(text: string, rule: CompiledRule, index: number): CompiledTemplate {
  try {
    return compileTemplate(text, rule.statement)
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    throw new SluiceError(thrown.code, `templates[${index}]: ${messageOf(thrown)}`, {
      cause: thrown,
      details: thrown.details,
    })
  }
}

/**
 * The output stands in the answer as the engine wrote it, because JSON.stringify would round
 * numbers.
 */
function answerText(evaluation: Evaluation): string {
  const { matched, output, outputIsJson, templates, failures } = evaluation
  const members = [`"matched":${matched}`]
  if (evaluation.noMatch) members.push(`"noMatch":${JSON.stringify(evaluation.noMatch)}`)
  if (output && outputIsJson) members.push(`"output":${textOf(output)}`)
  if (output) members.push(`"outputBase64":${JSON.stringify(output.toString('base64'))}`)
  const actions = evaluation.actions.flatMap(({ kind, records, messages }) => [
    ...records.map((record) => ({ [kind]: recordMembers(record) })),
    ...messages.map((message) => ({ [kind]: messageMembers(message) })),
  ])
  const errors = failures.map(({ code, message, where }) => ({ code, message, where }))
  members.push(`"actions":${JSON.stringify(actions)}`)
  members.push(`"templates":${JSON.stringify(templates)}`)
  members.push(`"errors":${JSON.stringify(errors)}`)
  return `{${members.join(',')}}`
}

/** The decoder drops a byte order mark, which a payload may have but a document must not. */
function textOf(output: Buffer): string {
  return new TextDecoder().decode(output)
}

/** What a record asks of its service: the fields of a stream, or the call of another service. */
function recordMembers({ destination, partitionKey, explicitHashKey, call, data }: NewRecord) {
  if (destination.kind !== 'kinesis') return shownCall(call ?? '', data)
  return {
    streamName: destination.streamName,
    partitionKey,
    explicitHashKey,
    hashKey: explicitHashKey ?? hashKeyOf(partitionKey).toString(),
  }
}

function messageMembers(message: Message) {
  return { topic: topicAsWritten(message), qos: message.qos }
}
