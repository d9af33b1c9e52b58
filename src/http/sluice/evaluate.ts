import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { defined } from '../../base/defined.ts'
import type { Clock } from '../../base/clock.ts'
import { evaluateRule } from '../../engine/evaluate-rule.ts'
import { SluiceError, invalidRequest, messageOf } from '../../base/errors.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import { payloadBytesMaxDefault } from '../../message.ts'
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
import { evaluationSchema } from './evaluation-schema.ts'
import { evaluationText } from './evaluation-text.ts'
import { messageOfRequest, messageRequestSchema } from './message-request.ts'
import type { MessageRequest } from './message-request.ts'
import { createPredictedShards } from './predicted-shards.ts'
import type { PredictedShardsDependencies } from './predicted-shards.ts'
import { repeatableEnvironment } from './repeatable-environment.ts'
import { existingRule } from './rule-delivery.ts'
import { ruleReadErrors } from './sluice-api.ts'

/** `POST /v1/evaluate`: what a rule would do with a message, by the same code as in the engine. */
export interface EvaluateDependencies extends PredictedShardsDependencies {
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
const messagesMax = 100
/** A payload of 128 KiB, a message of 128 KiB as base64 or with escapes, and room for both. */
const bodyBytesMin = 524_288
/** Larger messages need more, so that each of them can be tried that a device may send. */
const bodyBytesOfPayloadByte = 4
/**
 * Stands for the name of a rule that is given without one. The blank keeps topics from naming it.
 */
export const unnamedRule = 'unnamed rule'

const evaluateRequestSchema = Type.Object(
  {
    topicRulePayload: Type.Optional(Type.Unknown()),
    ruleName: Type.Optional(Type.String({ pattern: ruleNamePattern })),
    templates: Type.Optional(Type.Array(Type.String(), { maxItems: templatesMax })),
    message: Type.Optional(messageRequestSchema),
    messages: Type.Optional(
      Type.Array(messageRequestSchema, { minItems: 1, maxItems: messagesMax }),
    ),
  },
  { additionalProperties: false },
)
const requestValidator = Compile(evaluateRequestSchema)

const evaluate = {
  operation: {
    id: 'Evaluate',
    summary: 'Tries a rule on a message; nothing is sent.',
    description:
      'With `messages` in place of `message` the answer has `evaluations`, one for each of them in ' +
      'their order. No external function is called then, and `newuuid()` and `rand()` give the ' +
      'same values in each request, so that the answers of two rules can be compared.',
    body: { schema: evaluateRequestSchema },
    answer: {
      description: 'What the rule would do.',
      schema: Type.Union([
        evaluationSchema,
        Type.Object({ evaluations: Type.Array(evaluationSchema) }),
      ]),
    },
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
  const json = parseJson(body)
  if (!requestValidator.Check(json)) throw schemaProblem(requestValidator.Errors(json))
  const { message, messages, topicRulePayload, ruleName, templates = [] } = json
  const rule = ruleOf(topicRulePayload, ruleName, dependencies)
  const evaluation = createEvaluation(dependencies, {
    text: new TextDecoder().decode(body),
    rule,
    templates: templates.map((template, index) => templateOf(template, rule, index)),
  })
  const { environment } = dependencies
  if (message && messages) throw invalidRequest('give message or messages, not both')
  if (message) return evaluation(message, ['message'], environment)
  if (!messages) throw invalidRequest('message is missing; messages can be given instead')
  const evaluations: string[] = []
  for (const [index, each] of messages.entries()) {
    evaluations.push(
      await evaluation(each, ['messages', index], repeatableEnvironment(environment)),
    )
    // Devices must not wait for all of them.
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  return `{"evaluations":[${evaluations.join(',')}]}`
}

interface Tried {
  /** The request, of which a payload is taken as it was written. */
  readonly text: string
  readonly rule: CompiledRule
  readonly templates: readonly CompiledTemplate[]
}

/** @returns the answer for one message of the request, as JSON */
function createEvaluation(
  { clock, topicLimits, payloadBytesMax, ...dependencies }: EvaluateDependencies,
  { text, rule, templates }: Tried,
) {
  const shards = createPredictedShards(dependencies)
  return async (
    given: MessageRequest,
    path: readonly (string | number)[],
    environment: SqlEnvironment,
  ): Promise<string> => {
    const { accountId, payloadBase64 } = given
    const isBase64Alone = payloadBase64 !== undefined && !Object.hasOwn(given, 'payload')
    const message = messageOfRequest(given, {
      // Finding it means reading all that stands before it.
      payloadText: isBase64Alone ? undefined : jsonSlice(text, [...path, 'payload']),
      where: path.length > 1 ? `messages[${path[1]}]` : 'message',
      nowMs: clock.wallMs(),
      topicLimits,
      payloadBytesMax,
    })
    const surroundings = { ...environment, ...defined({ accountId }) }
    return evaluationText(await evaluateRule(rule, message, surroundings, templates), shards)
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
    // Delivery settings stay when a payload is replaced.
    const delivery = rules.byName(name)?.delivery
    return compile({ name, ...readPayload(payload), createdAt, tags: {}, delivery })
  }
  if (ruleName === undefined) {
    throw invalidRequest('topicRulePayload is missing; ruleName may stand in its place')
  }
  return existingRule(rules, ruleName)
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
