import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { apiRequirements, createApiActions } from '../../../src/identity/policies/api-actions.ts'
import type { ApiRequest } from '../../../src/identity/policies/api-actions.ts'
import { compilePolicy } from '../../../src/identity/policies/policy.ts'
import { resourceArn } from '../../../src/identity/policies/resource-arn.ts'

const actions = createApiActions({ region: 'eu-central-1', accountId: '123456789012' })
const arn = (resource: string) => `arn:aws:iot:eu-central-1:123456789012:${resource}`
const required = (route: string, given: Partial<ApiRequest> = {}) =>
  actions
    .requiredFor({ route, names: {}, query: {}, body: () => undefined, ...given })
    ?.map(({ action, resource }) => `${action} ${resource}`)

describe('what a request takes', () => {
  const ruleArn = arn('rule/r')
  const cases: [string, Partial<ApiRequest>, string[] | undefined][] = [
    ['POST /rules/:ruleName', { names: { ruleName: 'r' } }, [`iot:CreateTopicRule ${ruleArn}`]],
    ['HEAD /rules/:ruleName', { names: { ruleName: 'r' } }, [`iot:GetTopicRule ${ruleArn}`]],
    ['GET /rules', {}, ['iot:ListTopicRules *']],
    ['POST /tags', { body: () => ({ resourceArn: ruleArn }) }, [`iot:TagResource ${ruleArn}`]],
    ['POST /tags', { body: () => ({ resourceArn: 'r' }) }, ['iot:TagResource *']],
    ['POST /untag', { body: () => [] }, ['iot:UntagResource *']],
    ['GET /tags', { query: { resourceArn: ruleArn } }, [`iot:ListTagsForResource ${ruleArn}`]],
    ['POST /topics/*', { names: { rest: 'a/b' } }, [`iot:Publish ${arn('topic/a/b')}`]],
    [
      'POST /topics/*',
      { names: { rest: 'a' }, query: { retain: 'true' } },
      [`iot:Publish ${arn('topic/a')}`, `iot:RetainPublish ${arn('topic/a')}`],
    ],
    [
      'DELETE /connections/:clientId',
      { names: { clientId: 'c' } },
      [`iot:DeleteConnection ${arn('client/c')}`],
    ],
    [
      'POST /things/:thingName',
      { names: { thingName: 't' } },
      [`iot:CreateThing ${arn('thing/t')}`],
    ],
    ['GET /v1/events', { query: { payloads: 'false' } }, ['sluice:WatchMessages *']],
    [
      'GET /v1/events',
      { query: { payloads: 'true' } },
      ['sluice:WatchMessages *', 'sluice:ReadPayloads *'],
    ],
    ['PUT /things/:thingName/principals', {}, ['iot:AttachThingPrincipal *']],
    [
      'PUT /certificates/:certificateId',
      { names: { certificateId: 'AB' } },
      [`iot:UpdateCertificate ${arn('cert/ab')}`],
    ],
    [
      'POST /policies/:policyName',
      { names: { policyName: 'p' }, body: () => ({ tags: [] }) },
      [`iot:CreatePolicy ${arn('policy/p')}`, `iot:TagResource ${arn('policy/p')}`],
    ],
    [
      'PUT /target-policies/:policyName',
      { names: { policyName: 'p' }, body: () => ({ target: arn('cert/ab') }) },
      [`iot:AttachPolicy ${arn('cert/ab')}`],
    ],
    [
      'PUT /target-policies/:policyName',
      { names: { policyName: 'p' }, body: () => ({ target: 'all' }) },
      ['iot:AttachPolicy *'],
    ],
    [
      'DELETE /principal-policies/:policyName',
      { principal: arn('cert/ab') },
      [`iot:DetachPrincipalPolicy ${arn('cert/ab')}`],
    ],
    ['GET /v1/health', {}, []],
    ['POST /v1/check', {}, ['sluice:CheckRule *']],
    ['POST /v1/evaluate', { body: () => ({ ruleName: 'r' }) }, [`sluice:Evaluate ${ruleArn}`]],
    [
      'POST /v1/evaluate',
      { body: () => ({ ruleName: 'r', topicRulePayload: {} }) },
      ['sluice:Evaluate *'],
    ],
    ['GET /v1/dead-letters', { query: { ruleName: 'r' } }, [`sluice:ListDeadLetters ${ruleArn}`]],
    ['GET /v1/event-source-mappings/:uuid/batches', {}, ['sluice:ListMappingBatches *']],
    ['GET /v1/lab/calls', {}, ['sluice:ListLabCalls *']],
    ['GET /v1/dead-letters', {}, ['sluice:ListDeadLetters *']],
    ['GET /v1/clients', {}, ['sluice:ListClients *']],
    ['GET /v1/shadows', {}, ['sluice:ListShadows *']],
    [
      'POST /v1/dead-letters/replay',
      { body: () => ({ ruleName: 'r', ids: ['1'] }) },
      ['sluice:ReplayDeadLetters *'],
    ],
    ['GET /nowhere', {}, undefined],
    ['toString', {}, undefined],
  ]
  test.each(cases)('%s %j', (route, given, expected) => {
    expect(required(route, given)).toEqual(expected)
  })

  test('what a caller makes up as an ARN is no wildcard', () => {
    const policy = compilePolicy({
      Version: '2012-10-17',
      Statement: { Effect: 'Allow', Action: 'iot:*', Resource: arn('rule/mine') },
    })
    const [request] =
      actions.requiredFor({
        route: 'GET /tags',
        names: {},
        query: { resourceArn: 'arn:aws:iot:*:*:rule/*' },
        body: () => undefined,
      }) ?? []
    expect(request && policy.decide(request)).toBe('implicitDeny')
  })

  test('in other partitions', () => {
    expect(resourceArn('topic/a', { region: 'cn-north-1', accountId: '1' })).toBe(
      'arn:aws-cn:iot:cn-north-1:1:topic/a',
    )
    expect(resourceArn('topic/a', { region: 'us-gov-west-1', accountId: '1' })).toBe(
      'arn:aws-us-gov:iot:us-gov-west-1:1:topic/a',
    )
  })

  test('is documented', () => {
    const text = readFileSync(new URL('../../../docs/SECURITY.md', import.meta.url), 'utf8')
    for (const route of Object.keys(apiRequirements)) {
      const names = { ruleName: 'x', rest: 'x', clientId: 'x' }
      for (const line of required(route, { names, query: { retain: 'true' } }) ?? []) {
        expect(text).toContain(`\`${line.split(' ', 1)[0]}\``)
      }
    }
  })
})
