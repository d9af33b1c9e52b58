import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { SluiceError } from '../../base/errors.ts'
import type { CompiledRule } from '../../rules/compile-rule.ts'
import { parseDelivery, ruleDeliverySchema } from '../../rules/delivery.ts'
import { ruleNamePattern } from '../../rules/payload.ts'
import type { RuleStore } from '../../rules/rule-store.ts'
import { bodyJson } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { readErrors, ruleReadErrors } from './sluice-api.ts'

export const ruleParams = Type.Object({ ruleName: Type.String({ pattern: ruleNamePattern }) })

const getRuleDelivery = {
  params: ruleParams,
  operation: {
    id: 'GetRuleDelivery',
    summary: "Reads the delivery settings of a rule's actions.",
    description: 'Also those of a rule that does not exist yet.',
    answer: { description: 'The settings that the rule has.', schema: ruleDeliverySchema },
    errors: ruleReadErrors,
  },
} satisfies FastifySchema

const putRuleDelivery = {
  params: ruleParams,
  operation: {
    id: 'PutRuleDelivery',
    summary: "Replaces the delivery settings of a rule's actions.",
    description:
      'Also before the rule exists: CreateTopicRule then assumes its roles with these settings, ' +
      'such as an external id. `{}` and DeleteTopicRule remove them.',
    body: { schema: ruleDeliverySchema },
    answer: { description: 'The settings that hold now.', schema: ruleDeliverySchema },
    errors: [...readErrors, 'ConflictingResourceUpdateException'],
  },
} satisfies FastifySchema

/**
 * `/v1/rules/{ruleName}/delivery`: how the records of a rule are delivered. GET answers what PUT
 * takes; the configuration decides about settings that are not in it. PUT is taken before the rule
 * exists, because its creation assumes its roles as the settings say.
 */
export function addDeliveryRoutes(
  app: HttpApp,
  rules: Pick<RuleStore, 'delivery' | 'setDelivery'>,
): void {
  const path = '/v1/rules/:ruleName/delivery'

  app.get(path, { schema: getRuleDelivery }, async (request) => {
    const { ruleName } = request.params
    const delivery = await rules.delivery(ruleName)
    if (!delivery) throw noRule(ruleName)
    return delivery
  })

  app.put(path, { schema: putRuleDelivery }, async (request) => {
    return rules.setDelivery(request.params.ruleName, parseDelivery(bodyJson(request)))
  })
}

/** @throws SluiceError ResourceNotFoundException: unlike AWS, `/v1` does not hide names */
export function existingRule(rules: Pick<RuleStore, 'byName'>, ruleName: string): CompiledRule {
  const rule = rules.byName(ruleName)
  if (rule) return rule
  throw noRule(ruleName)
}

const noRule = (ruleName: string) =>
  new SluiceError('ResourceNotFoundException', `there is no rule named ${ruleName}`)
