import { entriesOf, memberAt } from './json-values.ts'
import { ask, evaluateText, once } from './scope.ts'
import type { Scope, Where } from './scope.ts'

/** `Fn::ImportValue`: the output of another stack that was read with this one, or else asked. */
export function importValue(scope: Scope, name: string, where: Where): unknown {
  const given = scope.context.options.parameters.get(name)
  if (given !== undefined) return given
  for (const other of scope.context.scopes) {
    const output = exportsOf(other).get(name)
    if (output !== undefined) {
      return once(other, `output ${output}`, () =>
        other.context.evaluate(other, memberAt(other.template.body['Outputs'], output, 'Value'), {
          resource: 'Outputs',
          member: `${output}.Value`,
        }),
      )
    }
  }
  return ask(scope, where, `Fn::ImportValue ${name}`, name)
}

/** The outputs of a stack by the names of their exports. */
function exportsOf(scope: Scope): ReadonlyMap<string, string> {
  return once(scope, 'the exports', () => {
    const named = entriesOf(scope.template.body['Outputs']).flatMap(
      ([output, value]): [string, string][] => {
        const name = memberAt(value, 'Export', 'Name')
        if (name === undefined) return []
        const where = { resource: 'Outputs', member: `${output}.Export.Name` }
        return [[evaluateText(scope, name, where), output]]
      },
    )
    return new Map(named)
  })
}
