import { Type } from 'typebox'
import type { FastifyReply, FastifySchema } from 'fastify'
import type { CompileRule, CompiledRule } from '../../rules/compile-rule.ts'
import {
  readPayloadText,
  payloadBytesMax,
  ruleNamePattern,
  topicRulePayloadSchema,
} from '../../rules/payload.ts'
import type { TopicRulePayload } from '../../rules/payload.ts'
import type { RuleStore } from '../../rules/rule-store.ts'
import { taggingHeader } from '../server/api-guard.ts'
import { bodyBytes } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { ruleErrors, ruleUpdateErrors } from './iot-control-plane.ts'
import { emptyAnswer, nextTokenSchema } from '../server/operation.ts'
import type { RoleProbe } from './role-probe.ts'
import { parseTagging } from './tagging.ts'

/** The operations on rules of the AWS IoT control plane. */

/** Leaves room for blanks and escapes, because AWS's limit is on the payload without them. */
export const payloadBodyBytesMax = 2 * payloadBytesMax
/**
 * AWS does not document a default. One page holds all rules that AWS allows an account by default.
 */
const maxResultsDefault = 1_000

const params = Type.Object({ ruleName: Type.String({ pattern: ruleNamePattern }) })
const listQuery = Type.Object({
  topic: Type.Optional(Type.String()),
  ruleDisabled: Type.Optional(Type.Boolean()),
  maxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  nextToken: Type.Optional(Type.String()),
})

const ruleArn = Type.String({ description: '`arn:aws:iot:<region>:<account>:rule/<ruleName>`' })
const createdAtSchema = Type.Number({ description: 'Epoch seconds.' })
/** Beyond AWS: what the lab does with the actions of a rule. */
const actionsHeader = 'x-sluice-actions'
const wrapped =
  'The body is the payload itself; `{"topicRulePayload": {...}}` is taken as well. ' +
  'At most 128 KiB as JSON. In the lab the header `x-sluice-actions: recorded=sqs,sns` of the ' +
  'answer names the actions whose calls are recorded instead of being made.'

const createTopicRule = {
  params,
  operation: {
    id: 'CreateTopicRule',
    summary: 'Creates a rule.',
    description: wrapped,
    headers: Type.Object({
      [taggingHeader]: Type.Optional(
        Type.String({ description: 'Tags, URL-encoded: `team=plant&site=north%2F2`.' }),
      ),
    }),
    body: { schema: topicRulePayloadSchema },
    answer: emptyAnswer,
    errors: ['SqlParseException', ...ruleUpdateErrors, 'ResourceAlreadyExistsException'],
  },
} satisfies FastifySchema

const replaceTopicRule = {
  params,
  operation: {
    id: 'ReplaceTopicRule',
    summary: 'Replaces the payload of a rule; its tags and delivery settings stay.',
    description: wrapped,
    body: { schema: topicRulePayloadSchema },
    answer: emptyAnswer,
    errors: ['SqlParseException', ...ruleUpdateErrors],
  },
} satisfies FastifySchema

const getTopicRule = {
  params,
  operation: {
    id: 'GetTopicRule',
    summary: 'Reads a rule.',
    description: 'A rule that does not exist is answered with UnauthorizedException, as on AWS.',
    answer: {
      description: 'The rule.',
      schema: Type.Object({
        ruleArn,
        rule: Type.Object({
          ruleName: Type.String(),
          createdAt: createdAtSchema,
          ...topicRulePayloadSchema.properties,
        }),
      }),
    },
    errors: ruleErrors,
  },
} satisfies FastifySchema

const listTopicRules = {
  querystring: listQuery,
  operation: {
    id: 'ListTopicRules',
    summary: 'Lists rules in the order of their names.',
    answer: {
      description: 'A page of rules.',
      schema: Type.Object({
        rules: Type.Array(
          Type.Object({
            ruleArn,
            ruleName: Type.String(),
            topicPattern: Type.Optional(
              Type.String({ description: 'Absent for a rule without FROM.' }),
            ),
            createdAt: createdAtSchema,
            ruleDisabled: Type.Boolean(),
          }),
        ),
        nextToken: nextTokenSchema,
      }),
    },
    errors: ruleErrors,
  },
} satisfies FastifySchema

const deleteTopicRule = {
  params,
  operation: {
    id: 'DeleteTopicRule',
    summary: 'Deletes a rule; a rule that does not exist is no error.',
    answer: emptyAnswer,
    errors: ruleUpdateErrors,
  },
} satisfies FastifySchema

const switches = [
  { path: 'enable', disabled: false, id: 'EnableTopicRule', summary: 'Enables a rule.' },
  { path: 'disable', disabled: true, id: 'DisableTopicRule', summary: 'Disables a rule.' },
] as const

export interface RuleRouteDependencies {
  readonly rules: RuleStore
  readonly compile: CompileRule
  /** Absent: the roles of a rule are not assumed when it is created or replaced. */
  readonly probeRoles?: RoleProbe | undefined
  /**
   * In the lab: tells which kinds of actions of a rule are recorded instead of being carried out.
   */
  readonly noteRecorded?:
    ((ruleName: string, payload: TopicRulePayload) => readonly string[]) | undefined
}

export function addRuleRoutes(app: HttpApp, dependencies: RuleRouteDependencies): void {
  const { rules, compile, probeRoles, noteRecorded = () => [] } = dependencies
  const bodyLimit = payloadBodyBytesMax

  const payloadOf = (name: string, body: Uint8Array): TopicRulePayload => {
    const { payload, faults } = readPayloadText(body)
    // The compiler refuses it, and names what is wrong with the statement and templates as well.
    if (faults.length > 0) compile({ name, payload, faults, createdAt: 0, tags: {} })
    return payload
  }

  // The rule itself is checked first, because that costs no call to AWS.
  const probe = async (name: string, payload: TopicRulePayload): Promise<void> => {
    if (!probeRoles) return
    const delivery = await rules.delivery(name)
    compile({ name, payload, createdAt: 0, tags: {}, delivery })
    await probeRoles(payload, delivery)
  }

  const tellRecorded = (name: string, payload: TopicRulePayload, reply: FastifyReply) => {
    const kinds = noteRecorded(name, payload)
    if (kinds.length > 0) reply.header(actionsHeader, `recorded=${kinds.join()}`)
  }

  app.post('/rules/:ruleName', { schema: createTopicRule, bodyLimit }, async (request, reply) => {
    const { ruleName } = request.params
    const tags = parseTagging(request.headers[taggingHeader]?.toString())
    const payload = payloadOf(ruleName, bodyBytes(request))
    await probe(ruleName, payload)
    await rules.create(ruleName, payload, tags)
    tellRecorded(ruleName, payload, reply)
    return reply.send()
  })

  app.patch('/rules/:ruleName', { schema: replaceTopicRule, bodyLimit }, async (request, reply) => {
    const { ruleName } = request.params
    const payload = payloadOf(ruleName, bodyBytes(request))
    rules.get(ruleName)
    await probe(ruleName, payload)
    await rules.replace(ruleName, payload)
    tellRecorded(ruleName, payload, reply)
    return reply.send()
  })

  app.get('/rules/:ruleName', { schema: getTopicRule }, async (request) => {
    const rule = rules.get(request.params.ruleName)
    const { name: ruleName, createdAt, payload } = rule
    return { ruleArn: rule.arn, rule: { ruleName, createdAt, ...payload } }
  })

  app.get('/rules', { schema: listTopicRules }, async (request) => {
    const { topic, ruleDisabled, maxResults = maxResultsDefault, nextToken } = request.query
    const page = rules.list({
      maxResults,
      // An empty parameter counts as absent.
      topic: topic || undefined,
      nextToken: nextToken || undefined,
      ruleDisabled,
    })
    return { ...page, rules: page.rules.map(listItemOf) }
  })

  app.delete('/rules/:ruleName', { schema: deleteTopicRule }, async (request, reply) => {
    await rules.delete(request.params.ruleName)
    return reply.send()
  })

  for (const { path, disabled, id, summary } of switches) {
    const operation = { id, summary, answer: emptyAnswer, errors: ruleUpdateErrors }
    app.post(
      `/rules/:ruleName/${path}`,
      { schema: { params, operation } },
      async (request, reply) => {
        await rules.setDisabled(request.params.ruleName, disabled)
        return reply.send()
      },
    )
  }
}

function listItemOf({ arn, name, createdAt, disabled, statement }: CompiledRule) {
  return {
    ruleArn: arn,
    ruleName: name,
    topicPattern: statement.topicFilter,
    createdAt,
    ruleDisabled: disabled,
  }
}
