import { expandLoops } from './expand-loops.ts'
import type { Scope, StackContext, Template } from './scope.ts'

/** What the evaluation of a template sees; its loops are expanded. */
export function createScope(
  template: Template,
  stackName: string,
  given: ReadonlyMap<string, unknown>,
  context: StackContext,
): Scope {
  const scopeOf = (one: Template): Scope => ({
    template: one,
    stackName,
    given,
    nested: new Map(),
    context,
    known: new Map(),
    pending: new Set(),
  })
  const scope = scopeOf(expandLoops(scopeOf(template)))
  context.scopes.push(scope)
  return scope
}
