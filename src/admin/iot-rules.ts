import { Type } from 'typebox'
import type { CompiledRule } from '../rules/compile-rule.ts'
import { parsePayloadText, payloadBytesMax, ruleNamePattern } from '../rules/payload.ts'
import type { RuleStore } from '../rules/rule-store.ts'
import type { HttpApp } from './http-server.ts'
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
const taggingHeader = 'x-amz-tagging'

export function addRuleRoutes(app: HttpApp, rules: RuleStore): void {
  const withPayload = { schema: { params }, bodyLimit: payloadBodyBytesMax }

  // CreateTopicRule
  app.post('/rules/:ruleName', withPayload, async (request, reply) => {
    const tags = parseTagging(request.headers[taggingHeader]?.toString())
    await rules.create(request.params.ruleName, payloadOf(request.body), tags)
    return reply.send()
  })

  // ReplaceTopicRule
  app.patch('/rules/:ruleName', withPayload, async (request, reply) => {
    await rules.replace(request.params.ruleName, payloadOf(request.body))
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
