/**
 * The steps of work (work.ts) that the text of a nested query takes for each element. Steps that
 * depend on the size of values are spent where that work is done.
 */
import type { Expression, Selection } from '../parser/ast.ts'
import { unreachable } from '../../base/unreachable.ts'
import { memberSteps, objectSteps } from '../values/work.ts'

/** The steps of each element, whatever the query does with it. */
export const stepsOfElement = 6
/** The steps of an operator, whose result may be a new number. */
const operatorSteps = 4

export function stepsOfSelection(selection: Selection): number {
  if (selection.kind === 'value') return stepsOf(selection.expression)
  let steps = objectSteps
  for (const item of selection.items) {
    steps += memberSteps
    if (item.kind !== 'all') steps += stepsOf(item.expression)
    if (item.kind === 'named') steps += item.target.length
  }
  return steps
}

export function stepsOf(expression: Expression): number {
  switch (expression.kind) {
    case 'number':
    case 'constant':
    case 'variable':
    case 'star':
      return 1
    case 'path':
      return expression.names.length
    case 'member':
      return stepsOf(expression.object) + expression.names.length
    case 'array':
      return objectSteps + stepsOfAll(expression.items)
    case 'object':
      return (
        objectSteps +
        expression.entries.length * memberSteps +
        stepsOfAll(expression.entries.map((entry) => entry.value))
      )
    case 'call':
      return operatorSteps + stepsOfAll(expression.arguments)
    case 'cast':
      return operatorSteps + stepsOf(expression.value)
    case 'unary':
      return operatorSteps + stepsOf(expression.operand)
    case 'binary':
      return (
        stepsOf(expression.first) +
        expression.steps.length * operatorSteps +
        stepsOfAll(expression.steps.map((step) => step.operand))
      )
    case 'logical':
      return stepsOfAll(expression.operands)
    case 'case': {
      const { subject, branches, otherwise } = expression
      const parts = branches.flatMap(({ when, result }) => [when, result])
      return stepsOf(subject) + stepsOfAll(parts) + (otherwise ? stepsOf(otherwise) : 0)
    }
    // The elements of a nested query spend their own steps.
    case 'exists':
    case 'subselect':
      return objectSteps + stepsOf(expression.query.source)
    default:
      return unreachable(expression)
  }
}

function stepsOfAll(expressions: readonly Expression[]): number {
  return expressions.reduce((sum, expression) => sum + stepsOf(expression), 0)
}
