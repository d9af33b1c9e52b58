import { entriesOf, isRecord, listOf, memberOf, textOf } from './json-values.ts'
import { resourcesOf } from './load-template.ts'
import { hasTransform, report, step } from './scope.ts'
import type { Scope, Template } from './scope.ts'
import type { JsonObject } from './stack.ts'

/** The sections that may hold loops. */
const sections = ['Conditions', 'Resources', 'Outputs'] as const
const prefix = 'Fn::ForEach::'

/**
 * Expands the loops of a template (CloudFormation Template Reference, `Fn::ForEach`): the fragment
 * of a loop stands once for each value of its collection, with the value in place of
 * `${Identifier}`, `&{Identifier}` and `Ref: Identifier`. A loop of another form is listed and
 * left out.
 *
 * @returns the template itself when it has no loop
 * @throws SluiceError TemplateInvalid: what it expands to passes a bound
 */
export function expandLoops(scope: Scope): Template {
  const { template } = scope
  const { body } = template
  if (!sections.some((name) => hasLoop(body[name]))) return template
  if (!hasTransform(scope, 'AWS::LanguageExtensions')) {
    const reason = 'Fn::ForEach needs AWS::LanguageExtensions among the transforms of the template'
    report(scope, { resource: 'Transform', member: '' }, { reason })
  }
  const expanded = Object.fromEntries(
    sections.flatMap((name): [string, unknown][] =>
      Object.hasOwn(body, name) ? [[name, expand(scope, body[name])]] : [],
    ),
  )
  const resources = resourcesOf(expanded['Resources'], template.file)
  return { ...template, body: { ...body, ...expanded }, resources }
}

function hasLoop(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasLoop)
  return entriesOf(value).some(([name, item]) => name.startsWith(prefix) || hasLoop(item))
}

function expand(scope: Scope, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => expand(scope, item))
  if (!isRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, item]): [string, unknown][] =>
      name.startsWith(prefix) ? expandLoop(scope, name, item) : [[name, expand(scope, item)]],
    ),
  )
}

function expandLoop(scope: Scope, name: string, loop: unknown): [string, unknown][] {
  const [identifier, collection, fragment] = listOf(loop)
  const where = { resource: name, member: '' }
  if (typeof identifier !== 'string' || !isRecord(fragment)) {
    report(scope, where, { reason: 'is not [identifier, collection, fragment]: it is left out' })
    return []
  }
  const values = scope.context.evaluate(scope, collection, { ...where, member: 'collection' })
  if (!Array.isArray(values)) {
    report(scope, where, { reason: 'its collection is no list: it is left out' })
    return []
  }
  return values.flatMap((value) => {
    const made = replace(scope, fragment, identifier, textOf(value) ?? '')
    return Object.entries(expand(scope, made) as JsonObject)
  })
}

/** `&{Identifier}` is the value without what a logical id may not have. */
function replace(scope: Scope, node: unknown, identifier: string, value: string): unknown {
  return step(scope, () => {
    const inText = (text: string) =>
      text
        .replaceAll(`\${${identifier}}`, () => value)
        .replaceAll(`&{${identifier}}`, () => value.replaceAll(/[^a-zA-Z0-9]/g, ''))
    if (typeof node === 'string') return inText(node)
    if (Array.isArray(node)) {
      return node.map((item: unknown) => replace(scope, item, identifier, value))
    }
    if (!isRecord(node)) return node
    if (memberOf(node, 'Ref') === identifier && Object.keys(node).length === 1) return value
    return Object.fromEntries(
      Object.entries(node).map(([name, item]) => [
        inText(name),
        replace(scope, item, identifier, value),
      ]),
    )
  })
}
