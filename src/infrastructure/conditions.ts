import { isRecord, listOf, memberOf, textOf } from './json-values.ts'
import { evaluateText, once, report, step } from './scope.ts'
import type { Scope, Where } from './scope.ts'

/**
 * Computes an entry of the section `Conditions`. One that is not there is listed and false.
 *
 * @throws SluiceError TemplateInvalid: the condition refers to itself
 */
export function conditionHolds(scope: Scope, name: string, where: Where): boolean {
  const expression = memberOf(scope.template.body['Conditions'], name)
  if (expression === undefined) {
    report(scope, where, { reason: `there is no condition ${name}: it counts as false` })
    return false
  }
  const own = { resource: 'Conditions', member: name }
  return once(scope, `condition ${name}`, () => compute(scope, expression, own))
}

function compute(scope: Scope, expression: unknown, where: Where): boolean {
  return step(scope, () => {
    const [name = '', ...others] = isRecord(expression) ? Object.keys(expression) : []
    const operand = memberOf(expression, name)
    const of = (node: unknown) => compute(scope, node, where)
    if (others.length === 0) {
      if (name === 'Condition') {
        return conditionHolds(scope, textOf(operand) ?? '', where)
      }
      if (name === 'Fn::And') return listOf(operand).every(of)
      if (name === 'Fn::Or') return listOf(operand).some(of)
      if (name === 'Fn::Not') return !of(listOf(operand)[0])
      if (name === 'Fn::Equals') {
        const [left, right] = listOf(operand)
        return evaluateText(scope, left, where) === evaluateText(scope, right, where)
      }
    }
    report(scope, where, { reason: 'it is no function of conditions: it counts as false' })
    return false
  })
}
