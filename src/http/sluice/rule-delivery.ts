import { Type } from 'typebox'
import { SluiceError } from '../../base/errors.ts'
import type { CompiledRule } from '../../rules/compile-rule.ts'
import { parseDelivery } from '../../rules/delivery.ts'
import { parseJson, ruleNamePattern } from '../../rules/payload.ts'
import type { RuleStore } from '../../rules/rule-store.ts'
import type { HttpApp } from '../server/http-app.ts'

export const ruleParams = Type.Object({ ruleName: Type.String({ pattern: ruleNamePattern }) })

/**
 * `/v1/rules/{ruleName}/delivery`: how a rule's records are delivered, as it stands beside the
 * payload. GET answers what PUT takes; settings that are not in it are those of the configuration.
 */
export function addDeliveryRoutes(
  app: HttpApp,
  rules: Pick<RuleStore, 'byName' | 'setDelivery'>,
): void {
  const path = '/v1/rules/:ruleName/delivery'

  app.get(path, { schema: { params: ruleParams } }, async (request) => {
    return existingRule(rules, request.params.ruleName).delivery ?? {}
  })

  app.put(path, { schema: { params: ruleParams } }, async (request) => {
    const { ruleName } = request.params
    existingRule(rules, ruleName)
    const body = request.body instanceof Uint8Array ? request.body : new Uint8Array()
    const rule = await rules.setDelivery(ruleName, parseDelivery(parseJson(body)))
    return rule.delivery ?? {}
  })
}

/** @throws SluiceError ResourceNotFoundException: what is ours hides no names, unlike AWS */
export function existingRule(rules: Pick<RuleStore, 'byName'>, ruleName: string): CompiledRule {
  const rule = rules.byName(ruleName)
  if (rule) return rule
  throw new SluiceError('ResourceNotFoundException', `there is no rule named ${ruleName}`)
}
