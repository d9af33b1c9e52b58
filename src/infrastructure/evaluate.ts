import { conditionHolds } from './conditions.ts'
import { importValue } from './import-value.ts'
import { entriesOf, isRecord, memberOf, textOf } from './json-values.ts'
import { attributeOf, refOf, splitAttribute } from './references.ts'
import { ask, checkLength, evaluateText, hasTransform, report, step } from './scope.ts'
import type { Scope, Where } from './scope.ts'

/**
 * The intrinsic functions of CloudFormation (Template Reference, "Intrinsic functions"). A value
 * that only a deployment knows becomes a placeholder and is listed; it never fails the template.
 *
 * @returns a JSON value; undefined when it is removed (`AWS::NoValue`, null)
 * @throws SluiceError TemplateInvalid: it refers to itself, or passes a bound
 */
export function evaluate(scope: Scope, node: unknown, where: Where): unknown {
  return step(scope, () => {
    if (typeof node === 'string') return withoutDynamicReferences(scope, node, where)
    if (Array.isArray(node)) return evaluateList(scope, node, where)
    if (!isRecord(node)) return node ?? undefined
    const names = Object.keys(node)
    const [name = ''] = names
    if (names.length === 1) {
      const intrinsic = intrinsics.get(name)
      if (intrinsic) return intrinsic(scope, node[name], where)
      if (name.startsWith('Fn::')) return unknownFunction(scope, name, where)
    }
    return evaluateMembers(scope, node, where)
  })
}

type Intrinsic = (scope: Scope, argument: unknown, where: Where) => unknown

const intrinsics: ReadonlyMap<string, Intrinsic> = new Map<string, Intrinsic>([
  ['Ref', (scope, name, where) => refOf(scope, textOf(name) ?? '', where)],
  ['Fn::GetAtt', getAttribute],
  ['Fn::Sub', substitute],
  ['Fn::Join', join],
  ['Fn::Select', select],
  ['Fn::Split', split],
  ['Fn::FindInMap', findInMap],
  ['Fn::If', choose],
  [
    'Fn::Base64',
    (scope, text, where) => Buffer.from(evaluateText(scope, text, where)).toString('base64'),
  ],
  [
    'Fn::GetAZs',
    (scope) => ['a', 'b', 'c'].map((zone) => `${scope.context.options.region}${zone}`),
  ],
  ['Fn::Length', lengthOf],
  ['Fn::ToJsonString', toJsonString],
  [
    'Fn::ImportValue',
    (scope, name, where) => importValue(scope, evaluateText(scope, name, where), where),
  ],
])

/** Functions of the transform `AWS::LanguageExtensions`. */
function needExtensions(scope: Scope, name: string, where: Where): void {
  if (hasTransform(scope, 'AWS::LanguageExtensions')) return
  const reason = `${name} needs AWS::LanguageExtensions among the transforms of the template`
  report(scope, where, { reason })
}

function lengthOf(scope: Scope, argument: unknown, where: Where): unknown {
  needExtensions(scope, 'Fn::Length', where)
  const list = evaluate(scope, argument, where)
  if (Array.isArray(list)) return list.length
  return ask(scope, where, 'Fn::Length of no list', `${where.resource}.${where.member}`)
}

function toJsonString(scope: Scope, argument: unknown, where: Where): string {
  needExtensions(scope, 'Fn::ToJsonString', where)
  const text = JSON.stringify(evaluate(scope, argument, where)) ?? ''
  checkLength(scope, text.length, where)
  return text
}

function unknownFunction(scope: Scope, name: string, where: Where): string {
  const reason = `${name} is expanded at deployment: give the processed template`
  return ask(scope, where, reason, `${where.resource}.${where.member}`)
}

function evaluateList(scope: Scope, list: readonly unknown[], where: Where): readonly unknown[] {
  return list
    .map((item, index) => evaluate(scope, item, below(where, `[${index}]`)))
    .filter((item) => item !== undefined)
}

/**
 * Lists functions that stand among members: only a deployment puts other members in their place.
 */
export function reportStray(scope: Scope, node: unknown, where: Where): void {
  for (const [name] of entriesOf(node)) {
    if (!name.startsWith('Fn::')) continue
    const reason = `${name} is expanded at deployment, and left out: give the processed template`
    report(scope, where, { reason })
  }
}

function evaluateMembers(scope: Scope, node: Readonly<Record<string, unknown>>, where: Where) {
  reportStray(scope, node, where)
  return Object.fromEntries(
    Object.entries(node).flatMap(([name, item]) => {
      if (name.startsWith('Fn::')) return []
      const value = evaluate(scope, item, below(where, `.${name}`))
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

function below({ resource, member }: Where, part: string): Where {
  return { resource, member: member === '' ? part.replace(/^\./, '') : member + part }
}

/** `{{resolve:ssm:name}}` is known at deployment only. */
function withoutDynamicReferences(scope: Scope, text: string, where: Where): string {
  if (!text.includes('{{resolve:')) return text
  return text.replaceAll(/\{\{resolve:([^{}]*)\}\}/g, (_, name: string) =>
    ask(scope, where, `a dynamic reference to ${name}`, name),
  )
}

function getAttribute(scope: Scope, argument: unknown, where: Where): unknown {
  const parts = Array.isArray(argument)
    ? argument.map((part: unknown) => evaluateText(scope, part, where))
    : [textOf(argument) ?? '']
  const { id, attribute } = splitAttribute(parts.join('.'))
  return attributeOf(scope, id, attribute, where)
}

function substitute(scope: Scope, argument: unknown, where: Where): string {
  const [template, values] = Array.isArray(argument) ? (argument as unknown[]) : [argument, {}]
  let length = 0
  const counted = (value: string) => {
    length += value.length
    checkLength(scope, length, where)
    return value
  }
  // A name is replaced once: what it stands for is not read again.
  const text = (textOf(template) ?? '').replaceAll(
    /\$\{(?:!|([^{}]*)\})/g,
    (found, name: string | undefined) => {
      if (name === undefined) return '${'
      const own = memberOf(values, name)
      if (own !== undefined) return counted(evaluateText(scope, own, where))
      return counted(referenceInText(scope, name, where) ?? found)
    },
  )
  checkLength(scope, text.length, where)
  return withoutDynamicReferences(scope, text, where)
}

function referenceInText(scope: Scope, name: string, where: Where): string | undefined {
  const { id, attribute } = splitAttribute(name)
  const { body, resources } = scope.template
  const isKnown =
    /^AWS::\w+$/.test(name) ||
    Object.hasOwn(resources, id) ||
    memberOf(body['Parameters'], id) !== undefined
  if (!isKnown) {
    const reason = `Fn::Sub knows no \${${name}}: a template of the rule stands there as \${!${name}}`
    report(scope, where, { reason })
    return undefined
  }
  const value =
    attribute === '' ? refOf(scope, id, where) : attributeOf(scope, id, attribute, where)
  return Array.isArray(value) ? value.join(',') : (textOf(value) ?? '')
}

function join(scope: Scope, argument: unknown, where: Where): string {
  const [separator, list] = Array.isArray(argument) ? (argument as unknown[]) : []
  const items = evaluate(scope, list, where)
  const texts = (Array.isArray(items) ? items : [items]).map((item) => textOf(item) ?? '')
  const by = textOf(separator) ?? ''
  checkLength(
    scope,
    texts.reduce((sum, text) => sum + text.length + by.length, 0),
    where,
  )
  return texts.join(by)
}

function split(scope: Scope, argument: unknown, where: Where): readonly string[] {
  const [separator, text] = Array.isArray(argument) ? (argument as unknown[]) : []
  const found = evaluateText(scope, text, where)
  const by = textOf(separator) ?? ''
  return by === '' ? [found] : found.split(by)
}

function select(scope: Scope, argument: unknown, where: Where): unknown {
  const [position, list] = Array.isArray(argument) ? (argument as unknown[]) : []
  const index = Number(evaluateText(scope, position, where))
  const items = evaluate(scope, list, where)
  const found: unknown = Array.isArray(items) ? items[index] : undefined
  if (found !== undefined) return found
  return ask(
    scope,
    where,
    `Fn::Select finds no entry ${index}`,
    `${where.resource}.${where.member}`,
  )
}

function findInMap(scope: Scope, argument: unknown, where: Where): unknown {
  const [names, options] = Array.isArray(argument)
    ? [argument.slice(0, 3) as unknown[], argument[3] as unknown]
    : [[], undefined]
  const path = names.map((name) => evaluateText(scope, name, where))
  const found = path.reduce<unknown>(memberOf, scope.template.body['Mappings'])
  if (found !== undefined && path.length === 3) return evaluate(scope, found, where)
  const fallback = memberOf(options, 'DefaultValue')
  if (fallback !== undefined) return evaluate(scope, fallback, where)
  return ask(scope, where, `Fn::FindInMap finds no ${path.join('.')}`, path.join('.'))
}

function choose(scope: Scope, argument: unknown, where: Where): unknown {
  const [condition, yes, no] = Array.isArray(argument) ? (argument as unknown[]) : []
  return evaluate(scope, conditionHolds(scope, textOf(condition) ?? '', where) ? yes : no, where)
}
