import { shorten } from '../base/errors.ts'
import { entriesOf, isRecord, listOf, memberOf, textOf } from './json-values.ts'
import { resourcesOf } from './load-template.ts'
import { checkLength, hasTransform, report, step } from './scope.ts'
import type { Scope, Template } from './scope.ts'
import type { JsonObject } from './stack.ts'
import { invalid } from './template-file.ts'

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
  const values = valuesOf(scope, name, collection)
  if (!Array.isArray(values)) {
    report(scope, where, { reason: 'its collection is no list: it is left out' })
    return []
  }
  needRoom(scope, name, values.length * valuesIn(scope, fragment))
  const own = valuesWritten(fragment)
  return values.flatMap((value) => {
    scope.context.looped += own
    needRoom(scope, name, 0)
    const made = replace(scope, fragment, identifier, textOf(value) ?? '')
    return Object.entries(expand(scope, made) as JsonObject)
  })
}

/**
 * Values that the loops of one call may make: many more than fit into the 1 MB that CloudFormation
 * takes of an expanded template, and few enough to be made in less than 100 ms.
 */
const loopedMax = 50_000

/** @throws SluiceError TemplateInvalid, before anything is made */
function needRoom({ context, template }: Scope, name: string, more: number): void {
  if (context.looped + more <= loopedMax) return
  const line = `${shorten(name, 100)}: the loops make more than ${loopedMax} values`
  throw invalid(template.file, line)
}

/** Values that stand in a fragment. */
function valuesWritten(node: unknown): number {
  if (Array.isArray(node)) return node.reduce((sum: number, item) => sum + valuesWritten(item), 1)
  return entriesOf(node).reduce((sum, [, item]) => sum + valuesWritten(item), 1)
}

/**
 * Values in a fragment. A loop in it counts as often as its collection says, if that is a list or a
 * parameter; others may depend on the loops around them.
 */
function valuesIn(scope: Scope, node: unknown): number {
  if (Array.isArray(node)) {
    return node.reduce((sum: number, item) => sum + valuesIn(scope, item), 1)
  }
  return entriesOf(node).reduce((sum, [name, item]) => {
    const times = name.startsWith(prefix) ? timesOf(scope, name, listOf(item)[1]) : 1
    return sum + times * valuesIn(scope, item)
  }, 1)
}

function timesOf(scope: Scope, name: string, collection: unknown): number {
  const parameter = textOf(memberOf(collection, 'Ref')) ?? ''
  const isParameter = memberOf(scope.template.body['Parameters'], parameter) !== undefined
  const values = isParameter ? valuesOf(scope, name, collection) : collection
  return Array.isArray(values) ? values.length : 1
}

function valuesOf(scope: Scope, name: string, collection: unknown): unknown {
  return scope.context.evaluate(scope, collection, { resource: name, member: 'collection' })
}

/** `&{Identifier}` is the value without what a logical id may not have. */
function replace(scope: Scope, node: unknown, identifier: string, value: string): unknown {
  return step(scope, () => {
    const inText = (text: string) => {
      if (!text.includes(`{${identifier}}`)) return text
      const places = text.split(`{${identifier}}`).length
      const where = { resource: prefix + identifier, member: '' }
      checkLength(scope, text.length + places * value.length, where)
      return text
        .replaceAll(`\${${identifier}}`, () => value)
        .replaceAll(`&{${identifier}}`, () => value.replaceAll(/[^a-zA-Z0-9]/g, ''))
    }
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
