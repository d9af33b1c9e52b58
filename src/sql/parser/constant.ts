import type { Expression } from './ast.ts'
import { unreachable } from '../../base/unreachable.ts'

/** Whether an expression consists of literals, so that its value never depends on a message. */
export function isConstant(expression: Expression): boolean {
  switch (expression.kind) {
    case 'number':
    case 'constant':
      return true
    case 'array':
      return expression.items.every(isConstant)
    case 'object':
      return expression.entries.every((entry) => isConstant(entry.value))
    case 'member':
      return isConstant(expression.object)
    case 'cast':
      return isConstant(expression.value)
    case 'unary':
      return isConstant(expression.operand)
    case 'binary':
      return (
        isConstant(expression.first) && expression.steps.every((step) => isConstant(step.operand))
      )
    case 'logical':
      return expression.operands.every(isConstant)
    case 'case':
      return (
        isConstant(expression.subject) &&
        expression.branches.every(({ when, result }) => isConstant(when) && isConstant(result)) &&
        (expression.otherwise === undefined || isConstant(expression.otherwise))
      )
    case 'path':
    case 'star':
    case 'variable':
    case 'call':
    case 'exists':
    case 'subselect':
      return false
    default:
      return unreachable(expression)
  }
}
