import { createScope } from './create-scope.ts'
import { isRecord, memberAt, memberOf, textOf } from './json-values.ts'
import { queueUrl, resourceKind } from './resource-kinds.ts'
import { ask, evaluateText, once } from './scope.ts'
import type { Scope, Where } from './scope.ts'

/** The value of `Ref`: of a pseudo parameter, a parameter or a resource. */
export function refOf(scope: Scope, name: string, where: Where): unknown {
  if (name.startsWith('AWS::')) return pseudoParameter(scope, name, where)
  const parameter = memberOf(scope.template.body['Parameters'], name)
  if (isRecord(parameter)) return parameterValue(scope, name, parameter, where)
  const type = typeOf(scope, name)
  const kind = resourceKind(type)
  if (kind) {
    if (kind.ref === 'arn') return attributeOf(scope, name, 'Arn', where)
    const own = nameOf(scope, name)
    return kind.ref === 'queueUrl' ? queueUrl(own, scope.context.options) : own
  }
  if (type === 'AWS::Lambda::Alias' || type === 'AWS::Lambda::Version') {
    return qualifiedFunction(scope, name)
  }
  if (type === 'AWS::Timestream::Table') {
    const properties = memberOf(scope.template.resources[name], 'Properties')
    const of = (member: string) =>
      evaluateText(scope, memberOf(properties, member) ?? name, { resource: name, member })
    return `${of('DatabaseName')}|${of('TableName')}`
  }
  const what = type === '' ? `Ref ${name} names nothing` : `Ref ${name} of ${type}`
  return ask(scope, where, what, name)
}

/** The logical id and the attribute, which may hold dots itself. */
export function splitAttribute(text: string): { readonly id: string; readonly attribute: string } {
  const dot = text.indexOf('.')
  return dot === -1
    ? { id: text, attribute: '' }
    : { id: text.slice(0, dot), attribute: text.slice(dot + 1) }
}

export function attributeOf(scope: Scope, id: string, attribute: string, where: Where): unknown {
  const type = typeOf(scope, id)
  const kind = resourceKind(type)
  if (attribute.startsWith('Outputs.')) return nestedOutput(scope, id, attribute, where)
  if (kind) {
    const own = nameOf(scope, id)
    const { options } = scope.context
    if (attribute === 'Arn' || attribute === kind.arnAttribute) return kind.arn(own, options)
    if (kind.nameAttributes?.includes(attribute) === true) return own
    if (attribute === 'QueueUrl' && kind.ref === 'queueUrl') return queueUrl(own, options)
  }
  if (type === 'AWS::Lambda::Alias' && attribute === 'AliasArn') return qualifiedFunction(scope, id)
  if (type === 'AWS::Timestream::Table') {
    const [database = '', table = ''] = String(refOf(scope, id, where)).split('|')
    const { region, accountId } = scope.context.options
    if (attribute === 'Name') return table
    if (attribute === 'Arn') {
      return `arn:aws:timestream:${region}:${accountId}:database/${database}/table/${table}`
    }
  }
  const what = type === '' ? 'names nothing' : `of ${type}`
  return ask(scope, where, `Fn::GetAtt ${id}.${attribute} ${what}`, `${id}.${attribute}`)
}

/** The name that a resource has, or a stable one that is made up. */
export function nameOf(scope: Scope, id: string): string {
  return once(scope, id, () => {
    const resource = scope.template.resources[id]
    const kind = resourceKind(typeOf(scope, id))
    const member = kind?.nameProperty ?? ''
    const given = memberAt(resource, 'Properties', member)
    const madeUp = kind?.madeUpName?.(id) ?? id
    if (given === undefined || given === null) return madeUp
    const name = evaluateText(scope, given, { resource: id, member })
    return name === '' ? madeUp : name
  })
}

export function typeOf({ template }: Scope, id: string): string {
  if (!Object.hasOwn(template.resources, id)) return ''
  return textOf(template.resources[id]?.['Type']) ?? ''
}

function pseudoParameter(scope: Scope, name: string, where: Where): unknown {
  const { region, accountId } = scope.context.options
  if (name === 'AWS::NoValue') return undefined
  if (name === 'AWS::AccountId') return accountId
  if (name === 'AWS::Region') return region
  if (name === 'AWS::Partition') return 'aws'
  if (name === 'AWS::URLSuffix') return 'amazonaws.com'
  if (name === 'AWS::StackName') return scope.stackName
  if (name === 'AWS::NotificationARNs') return []
  if (name === 'AWS::StackId') {
    const id = '00000000-0000-4000-8000-000000000000'
    return `arn:aws:cloudformation:${region}:${accountId}:stack/${scope.stackName}/${id}`
  }
  return ask(scope, where, `Ref ${name} names nothing`, name)
}

function parameterValue(
  scope: Scope,
  name: string,
  parameter: Readonly<Record<string, unknown>>,
  where: Where,
): unknown {
  const type = textOf(parameter['Type']) ?? 'String'
  const isList = type === 'CommaDelimitedList' || type.includes('List<')
  const asked = (): unknown => {
    const given = scope.given.get(name) ?? scope.context.options.parameters.get(name)
    if (given !== undefined) return given
    // The default of such a parameter is the name of its value, which only AWS knows.
    if (type.startsWith('AWS::SSM::')) {
      return ask(scope, where, `parameter ${name} is kept in SSM`, name)
    }
    return parameter['Default'] ?? ask(scope, where, `parameter ${name} has no value`, name)
  }
  const value = asked()
  const text = textOf(value)
  if (!isList || text === undefined) return text ?? value
  return text === '' ? [] : text.split(',').map((item) => item.trim())
}

/** The ARN of an alias or a version: Sluice has one version of each function. */
function qualifiedFunction(scope: Scope, id: string): string {
  return once(scope, id, () => {
    const properties = memberOf(scope.template.resources[id], 'Properties')
    const of = (member: string) =>
      evaluateText(scope, memberOf(properties, member), { resource: id, member })
    const named = of('FunctionName')
    const { region, accountId } = scope.context.options
    const arn = named.startsWith('arn:')
      ? named
      : `arn:aws:lambda:${region}:${accountId}:function:${named}`
    const isAlias = typeOf(scope, id) === 'AWS::Lambda::Alias'
    return `${arn}:${isAlias ? of('Name') : '1'}`
  })
}

/** `Nested.Outputs.Name` of a nested stack whose template is a local file. */
function nestedOutput(scope: Scope, id: string, attribute: string, where: Where): unknown {
  const name = attribute.slice('Outputs.'.length)
  const nested = nestedScope(scope, id)
  const value = nested && memberAt(nested.template.body['Outputs'], name, 'Value')
  if (nested && value !== undefined) {
    return once(nested, `output ${name}`, () =>
      nested.context.evaluate(nested, value, { resource: 'Outputs', member: `${name}.Value` }),
    )
  }
  return ask(scope, where, `${id} has no local output ${name}`, `${id}.${attribute}`)
}

/** The scope of a nested stack, with the parameters that this template gives it. */
export function nestedScope(scope: Scope, id: string): Scope | undefined {
  const template = scope.template.nested.get(id)
  if (!template) return undefined
  const made = scope.nested.get(id)
  if (made) return made
  return once(scope, `stack ${id}`, () => {
    const given = memberAt(scope.template.resources[id], 'Properties', 'Parameters')
    const parameters = Object.entries(isRecord(given) ? given : {}).map(
      ([name, value]): [string, unknown] => [
        name,
        scope.context.evaluate(scope, value, { resource: id, member: `Parameters.${name}` }),
      ],
    )
    const nested = createScope(
      template,
      `${scope.stackName}-${id}`,
      new Map(parameters),
      scope.context,
    )
    scope.nested.set(id, nested)
    return nested
  })
}
