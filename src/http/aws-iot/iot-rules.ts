import { Type } from 'typebox'
import type { CompileRule, CompiledRule } from '../../rules/compile-rule.ts'
import { parsePayloadText, payloadBytesMax, ruleNamePattern } from '../../rules/payload.ts'
import type { TopicRulePayload } from '../../rules/payload.ts'
import type { RuleStore } from '../../rules/rule-store.ts'
import type { HttpApp } from '../server/http-app.ts'
import type { RoleProbe } from './role-probe.ts'
import { parseTagging } from './tagging.ts'

/** The rule operations of the AWS IoT control plane (API version 2015-05-28, restJson1). */

/** Room for blanks and escapes: what counts is the payload's own limit. */
const payloadBodyBytesMax = 2 * payloadBytesMax
/** AWS leaves the default open: one page holds all rules of an account with AWS's default limit. */
const maxResultsDefault = 1_000

const params = Type.Object({ ruleName: Type.String({ pattern: ruleNamePattern }) })
const listQuery = Type.Object({
  topic: Type.Optional(Type.String()),
  ruleDisabled: Type.Optional(Type.Boolean()),
  maxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  nextToken: Type.Optional(Type.String()),
})
export const taggingHeader = 'x-amz-tagging'

export interface RuleRouteDependencies {
  readonly rules: RuleStore
  readonly compile: CompileRule
  /** Absent: roles are not asked for when a rule is made. */
  readonly probeRoles?: RoleProbe
}

export function addRuleRoutes(app: HttpApp, dependencies: RuleRouteDependencies): void {
  const { rules, compile, probeRoles } = dependencies
  const withPayload = { schema: { params }, bodyLimit: payloadBodyBytesMax }

  /** What is wrong with the rule itself is told first: it costs nobody a call. */
  const probe = async (name: string, payload: TopicRulePayload): Promise<void> => {
    if (!probeRoles) return
    const { delivery } = rules.byName(name) ?? {}
    compile({ name, payload, createdAt: 0, tags: {}, ...(delivery && { delivery }) })
    await probeRoles(payload, delivery)
  }

  // CreateTopicRule
  app.post('/rules/:ruleName', withPayload, async (request, reply) => {
    const { ruleName } = request.params
    const tags = parseTagging(request.headers[taggingHeader]?.toString())
    const payload = payloadOf(request.body)
    await probe(ruleName, payload)
    await rules.create(ruleName, payload, tags)
    return reply.send()
  })

  // ReplaceTopicRule
  app.patch('/rules/:ruleName', withPayload, async (request, reply) => {
    const { ruleName } = request.params
    const payload = payloadOf(request.body)
    rules.get(ruleName)
    await probe(ruleName, payload)
    await rules.replace(ruleName, payload)
    return reply.send()
  })

  // GetTopicRule
  app.get('/rules/:ruleName', { schema: { params } }, async (request) => {
    const rule = rules.get(request.params.ruleName)
    const { name: ruleName, createdAt, payload } = rule
    return { ruleArn: rule.arn, rule: { ruleName, createdAt, ...payload } }
  })

  // ListTopicRules
  app.get('/rules', { schema: { querystring: listQuery } }, async (request) => {
    const { topic, ruleDisabled, maxResults = maxResultsDefault, nextToken } = request.query
    const page = rules.list({
      maxResults,
      ...(topic ? { topic } : {}),
      ...(nextToken ? { nextToken } : {}),
      ...(ruleDisabled === undefined ? {} : { ruleDisabled }),
    })
    return { ...page, rules: page.rules.map(listItemOf) }
  })

  // DeleteTopicRule
  app.delete('/rules/:ruleName', { schema: { params } }, async (request, reply) => {
    await rules.delete(request.params.ruleName)
    return reply.send()
  })

  // EnableTopicRule, DisableTopicRule
  for (const [verb, disabled] of [
    ['enable', false],
    ['disable', true],
  ] as const) {
    app.post(`/rules/:ruleName/${verb}`, { schema: { params } }, async (request, reply) => {
      await rules.setDisabled(request.params.ruleName, disabled)
      return reply.send()
    })
  }
}

/** A request without a body has none to parse: it is read as an empty one. */
function payloadOf(body: unknown) {
  return parsePayloadText(body instanceof Uint8Array ? body : new Uint8Array())
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
