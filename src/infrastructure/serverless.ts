import { createScope } from './create-scope.ts'
import { entriesOf, isRecord, listOf, memberAt, memberOf, textOf } from './json-values.ts'
import { ask, checkLength, step } from './scope.ts'
import type { Scope, StackContext } from './scope.ts'
import type { JsonObject } from './stack.ts'

/**
 * Makes a template of CloudFormation from `serverless.yml`, as the Serverless Framework does for
 * functions and their events `iot` and `stream`. Variables `self`, `opt`, `sls` and `aws` are
 * computed; the others are asked for.
 */
export function serverlessToTemplate(
  given: JsonObject,
  file: string,
  context: StackContext,
): { readonly body: JsonObject; readonly stackName: string } {
  // Variables are listed under the file as a whole: they are replaced before there are resources.
  const template = { file, folder: '', body: given, resources: {}, nested: new Map() }
  const scope = createScope(template, '', new Map(), context)
  context.scopes.pop()
  const settings = resolveValue(scope, given, '')
  const provider = memberOf(settings, 'provider')
  const stage = textOf(memberOf(provider, 'stage')) ?? optionOf(context, 'stage') ?? 'dev'
  const service = textOf(memberOf(settings, 'service')) ?? 'service'
  const stackName = textOf(memberOf(provider, 'stackName')) ?? `${service}-${stage}`
  const resources = entriesOf(memberOf(settings, 'functions')).flatMap(([name, one]) =>
    functionResources(name, one, provider, `${service}-${stage}-${name}`),
  )
  const own = memberOf(settings, 'resources')
  const plain = (Array.isArray(own) ? (own as unknown[]) : [own]).flatMap((section) =>
    entriesOf(memberOf(section, 'Resources')),
  )
  const sections = isRecord(own) ? own : {}
  return {
    body: { ...sections, Resources: Object.fromEntries([...resources, ...plain]) },
    stackName,
  }
}

function functionResources(
  name: string,
  given: unknown,
  provider: unknown,
  functionName: string,
): [string, unknown][] {
  const prefix = logicalName(name)
  const logicalId = `${prefix}LambdaFunction`
  const arn = { 'Fn::GetAtt': [logicalId, 'Arn'] }
  const functionResource = {
    Type: 'AWS::Lambda::Function',
    Properties: {
      FunctionName: memberOf(given, 'name') ?? functionName,
      Handler: memberOf(given, 'handler'),
      Runtime: memberOf(given, 'runtime') ?? memberOf(provider, 'runtime') ?? 'nodejs20.x',
      Timeout: memberOf(given, 'timeout') ?? memberOf(provider, 'timeout') ?? 6,
      Environment: {
        Variables: Object.fromEntries([
          ...entriesOf(memberOf(provider, 'environment')),
          ...entriesOf(memberOf(given, 'environment')),
        ]),
      },
      Code: '.',
    },
  }
  const events = listOf(memberOf(given, 'events'))
  const rules = events.filter((event) => isRecord(memberOf(event, 'iot')))
  const streams = events.filter((event) => memberOf(event, 'stream') !== undefined)
  return [
    [logicalId, functionResource],
    ...rules.map((event, index): [string, unknown] => [
      `${prefix}IotTopicRule${index + 1}`,
      ruleResource(memberOf(event, 'iot'), arn),
    ]),
    ...streams.map((event, index): [string, unknown] => [
      `${prefix}EventSourceMappingKinesis${index + 1}`,
      mappingResource(memberOf(event, 'stream'), arn),
    ]),
  ]
}

/** `my-function_a` -> `MyDashfunctionUnderscorea`. */
function logicalName(name: string): string {
  const text = name.replaceAll('-', 'Dash').replaceAll('_', 'Underscore')
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}

function ruleResource(event: unknown, functionArn: unknown): JsonObject {
  const oneLine = (name: string) => {
    const value = memberOf(event, name)
    return typeof value === 'string' ? value.replaceAll(/\r?\n/g, '') : value
  }
  return {
    Type: 'AWS::IoT::TopicRule',
    Properties: {
      RuleName: oneLine('name'),
      TopicRulePayload: {
        Sql: oneLine('sql'),
        AwsIotSqlVersion: oneLine('sqlVersion'),
        Description: oneLine('description'),
        RuleDisabled: textOf(memberOf(event, 'enabled')) === 'false',
        Actions: [{ Lambda: { FunctionArn: functionArn } }],
      },
    },
  }
}

/** Serverless' own names of members that a mapping has under another name. */
const mappingNames: Readonly<Record<string, string>> = {
  batchWindow: 'MaximumBatchingWindowInSeconds',
  tumblingWindowInSeconds: 'TumblingWindowInSeconds',
}
const ofServerless = new Set(['arn', 'type', 'consumer', 'filterPatterns', 'destinations'])

function mappingResource(event: unknown, functionName: unknown): JsonObject {
  const settings = entriesOf(event)
    .filter(([name]) => !ofServerless.has(name))
    .map(([name, value]): [string, unknown] => [
      Object.hasOwn(mappingNames, name)
        ? (mappingNames[name] ?? name)
        : name.slice(0, 1).toUpperCase() + name.slice(1),
      value,
    ])
  const patterns = listOf(memberOf(event, 'filterPatterns'))
  return {
    Type: 'AWS::Lambda::EventSourceMapping',
    Properties: {
      StartingPosition: 'TRIM_HORIZON',
      ...Object.fromEntries(settings),
      EventSourceArn: memberOf(event, 'arn') ?? event,
      FunctionName: functionName,
      ...(patterns.length > 0 && {
        FilterCriteria: {
          Filters: patterns.map((pattern) => ({ Pattern: JSON.stringify(pattern) })),
        },
      }),
    },
  }
}

/** Variables in one text, those that variables bring counted. */
const variablesMax = 100
/** The sources of Serverless: everything else, such as `${topic()}`, is not its own. */
const variable = /\$\{((?:self|opt|env|sls|aws|file|ssm|cf|s3|param|git|strToBool)[:(][^${}]*)\}/

/** Replaces the variables in all texts; one that is a whole text gives its value of any type. */
function resolveValue(scope: Scope, value: unknown, member: string): unknown {
  return step(scope, () => {
    if (Array.isArray(value)) {
      return value.map((item: unknown, index) => resolveValue(scope, item, `${member}[${index}]`))
    }
    if (isRecord(value)) {
      return Object.fromEntries(
        Object.entries(value).map(([name, item]) => [
          name,
          resolveValue(scope, item, member === '' ? name : `${member}.${name}`),
        ]),
      )
    }
    return typeof value === 'string' ? resolveText(scope, value, member) : value
  })
}

function resolveText(scope: Scope, given: string, member: string): unknown {
  const where = { resource: 'serverless', member }
  let text = given
  for (let count = 0; count < variablesMax; count += 1) {
    const match = variable.exec(text)
    if (!match) return text
    const value = variableValue(scope, match[1] ?? '', member)
    if (match[0] === text && typeof value !== 'string') return resolveValue(scope, value, member)
    text = text.replace(match[0], () => textOf(value) ?? '')
    checkLength(scope, text.length, where)
  }
  return ask(scope, where, 'variables without an end', member)
}

/** `self:custom.name, 'default'`: the first of the sources that has a value. */
function variableValue(scope: Scope, expression: string, member: string): unknown {
  const sources = expression.split(/,\s*/)
  for (const source of sources) {
    const literal = /^(?:'(.*)'|"(.*)"|(true|false|null|-?\d+(?:\.\d+)?))$/.exec(source.trim())
    if (literal) return literal[1] ?? literal[2] ?? literal[3]
    const value = sourceValue(scope, source.trim())
    if (value !== undefined && value !== null) return value
  }
  const name = sources[0]?.trim() ?? expression
  return ask(scope, { resource: 'serverless', member }, `the variable ${name}`, name)
}

function sourceValue({ template, context }: Scope, source: string): unknown {
  const [, kind = '', name = ''] = /^(\w+):(.*)$/.exec(source) ?? []
  if (kind === 'self') return memberAt(template.body, ...name.split('.'))
  if (kind === 'opt') return optionOf(context, name)
  if (source === 'sls:stage') {
    const stage = memberAt(template.body, 'provider', 'stage')
    const isPlain = typeof stage === 'string' && !stage.includes('${')
    return optionOf(context, 'stage') ?? (isPlain ? stage : 'dev')
  }
  if (source === 'aws:region') return context.options.region
  return source === 'aws:accountId' ? context.options.accountId : undefined
}

const optionOf = ({ options }: StackContext, name: string) => options.parameters.get(name)
