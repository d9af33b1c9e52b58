import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { SluiceError } from '../../base/errors.ts'
import type { CompiledRule } from '../../rules/compile-rule.ts'
import { parseDelivery, ruleDeliverySchema } from '../../rules/delivery.ts'
import { ruleNamePattern } from '../../rules/payload.ts'
import type { RuleStore } from '../../rules/rule-store.ts'
import { bodyJson } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { ruleReadErrors } from './sluice-api.ts'

export const ruleParams = Type.Object({ ruleName: Type.String({ pattern: ruleNamePattern }) })

const getRuleDelivery = {
  params: ruleParams,
  operation: {
    id: 'GetRuleDelivery',
    summary: "Reads the delivery settings of a rule's actions.",
    answer: { description: 'The settings that the rule has.', schema: ruleDeliverySchema },
    errors: ruleReadErrors,
  },
} satisfies FastifySchema

const putRuleDelivery = {
  params: ruleParams,
  operation: {
    id: 'PutRuleDelivery',
    summary: "Replaces the delivery settings of a rule's actions.",
    body: { schema: ruleDeliverySchema },
    answer: { description: 'The settings that hold now.', schema: ruleDeliverySchema },
    errors: [...ruleReadErrors, 'ConflictingResourceUpdateException'],
  },
} satisfies FastifySchema

/**
 * `/v1/rules/{ruleName}/delivery`: how the records of a rule are delivered. GET answers what PUT
 * takes; the configuration decides about settings that are not in it.
 */
export function addDeliveryRoutes(
  app: HttpApp,
  rules: Pick<RuleStore, 'byName' | 'setDelivery'>,
): void {
  const path = '/v1/rules/:ruleName/delivery'

  app.get(path, { schema: getRuleDelivery }, async (request) => {
    return existingRule(rules, request.params.ruleName).delivery ?? {}
  })

  app.put(path, { schema: putRuleDelivery }, async (request) => {
    const { ruleName } = request.params
    existingRule(rules, ruleName)
    const rule = await rules.setDelivery(ruleName, parseDelivery(bodyJson(request)))
    return rule.delivery ?? {}
  })
}

/** @throws SluiceError ResourceNotFoundException: unlike AWS, `/v1` does not hide names */
export function existingRule(rules: Pick<RuleStore, 'byName'>, ruleName: string): CompiledRule {
  const rule = rules.byName(ruleName)
  if (rule) return rule
  throw new SluiceError('ResourceNotFoundException', `there is no rule named ${ruleName}`)
}
