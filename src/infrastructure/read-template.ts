import path from 'node:path'
import { conditionHolds } from './conditions.ts'
import { evaluate, reportStray } from './evaluate.ts'
import {
  booleanOf,
  entriesOf,
  isRecord,
  listOf,
  memberAt,
  memberOf,
  numberOf,
  textOf,
} from './json-values.ts'
import { attributeOf, nameOf, nestedScope, typeOf } from './references.ts'
import { apiPayload } from './api-payload.ts'
import { countNotRead, evaluateText, report, skip } from './scope.ts'
import type { Scope } from './scope.ts'
import type {
  JsonObject,
  Origin,
  StackFunction,
  StackMapping,
  StackRule,
  StackStream,
} from './stack.ts'

/** What has been read so far. */
export interface StackParts {
  readonly rules: StackRule[]
  readonly streams: StackStream[]
  readonly mappings: StackMapping[]
  readonly functions: StackFunction[]
}

type ReadResource = (scope: Scope, id: string, properties: JsonObject, parts: StackParts) => void

const readers: ReadonlyMap<string, ReadResource> = new Map<string, ReadResource>([
  ['AWS::IoT::TopicRule', readRule],
  ['AWS::Kinesis::Stream', readStream],
  ['AWS::Lambda::EventSourceMapping', readMapping],
  ['AWS::Lambda::Function', readFunction],
  ['AWS::Serverless::Function', readSamFunction],
  ['AWS::CloudFormation::Stack', readNested],
  ['AWS::Serverless::Application', readNested],
])

/**
 * Takes the rules, streams, mappings and functions of a template and of its nested ones. SAM's
 * functions become what its transform makes of them.
 *
 * @throws SluiceError TemplateInvalid: a circular reference, or a bound is passed
 */
export function readTemplate(scope: Scope, parts: StackParts): void {
  const { body, resources } = scope.template
  for (const transform of [body['Transform']].flat()) {
    const name = textOf(transform) ?? 'a macro'
    if (transform === undefined || transform === null || knownTransforms.has(name)) continue
    const reason = `${name} runs at deployment: give the processed template`
    report(scope, { resource: 'Transform', member: '' }, { reason })
  }
  reportStray(scope, body['Resources'], { resource: 'Resources', member: '' })
  for (const [id, resource] of Object.entries(resources)) {
    const read = readers.get(typeOf(scope, id))
    if (!read) {
      countNotRead(scope.context, typeOf(scope, id))
      continue
    }
    reportStray(scope, resource, { resource: id, member: '' })
    reportStray(scope, resource['Properties'], { resource: id, member: 'Properties' })
    const condition = textOf(resource['Condition'])
    if (
      condition !== undefined &&
      !conditionHolds(scope, condition, { resource: id, member: 'Condition' })
    ) {
      skip(scope, id, `its condition ${condition} is false`)
      continue
    }
    const properties = resource['Properties']
    read(scope, id, isRecord(properties) ? properties : {}, parts)
  }
}

const knownTransforms: ReadonlySet<string> = new Set([
  'AWS::Serverless-2016-10-31',
  'AWS::LanguageExtensions',
])

const originOf = ({ template }: Scope, resource: string): Origin => ({
  file: template.file,
  resource,
})

function readRule(scope: Scope, id: string, properties: JsonObject, parts: StackParts): void {
  const member = 'TopicRulePayload'
  const payload = evaluate(scope, properties[member], { resource: id, member })
  const tags = evaluate(scope, properties['Tags'], { resource: id, member: 'Tags' })
  parts.rules.push({
    ...originOf(scope, id),
    name: nameOf(scope, id),
    payload: apiPayload(isRecord(payload) ? payload : {}),
    tags: Object.fromEntries(
      listOf(tags).map((tag) => [
        textOf(memberOf(tag, 'Key')) ?? '',
        textOf(memberOf(tag, 'Value')) ?? '',
      ]),
    ),
  })
}

/** AWS starts a stream on demand with this many. */
const shardsOnDemand = 4

function readStream(scope: Scope, id: string, properties: JsonObject, parts: StackParts): void {
  const evaluated = evaluate(
    scope,
    {
      mode: memberAt(properties, 'StreamModeDetails', 'StreamMode'),
      count: properties['ShardCount'],
    },
    { resource: id, member: '' },
  )
  const isOnDemand = memberOf(evaluated, 'mode') === 'ON_DEMAND'
  const shards = numberOf(memberOf(evaluated, 'count')) ?? (isOnDemand ? shardsOnDemand : 1)
  parts.streams.push({ ...originOf(scope, id), name: nameOf(scope, id), shards })
}

function readMapping(scope: Scope, id: string, properties: JsonObject, parts: StackParts): void {
  const evaluated = evaluate(scope, properties, { resource: id, member: '' })
  addMapping(scope, id, isRecord(evaluated) ? evaluated : {}, parts)
}

function addMapping(scope: Scope, id: string, request: JsonObject, parts: StackParts): void {
  const source = textOf(request['EventSourceArn'])
  if (source === undefined || !/^arn:[^:]*:kinesis:/.test(source)) {
    skip(scope, id, 'its source is no Kinesis stream')
    return
  }
  parts.mappings.push({ ...originOf(scope, id), request: mappingRequest(request) })
}

const mappingBooleans = new Set(['Enabled', 'BisectBatchOnFunctionError'])

/** Converts the numbers and booleans that a template may write as texts, and the list of tags. */
export function mappingRequest(properties: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => {
      if (name === 'Tags') {
        const tags = listOf(value).map((tag) => [memberOf(tag, 'Key'), memberOf(tag, 'Value')])
        return [name, isRecord(value) ? value : Object.fromEntries(tags)]
      }
      if (mappingBooleans.has(name)) return [name, booleanOf(value) ?? value]
      return [
        name,
        name.endsWith('Arn') || name === 'FunctionName' ? value : (numberOf(value) ?? value),
      ]
    }),
  )
}

function readFunction(scope: Scope, id: string, properties: JsonObject, parts: StackParts): void {
  const asset = memberAt(scope.template.resources[id], 'Metadata', 'aws:asset:path')
  const code = asset ?? properties['Code'] ?? properties['CodeUri']
  const folder = folderOf(scope, code)
  const where = (member: string) => ({ resource: id, member })
  const runtime = evaluateText(scope, properties['Runtime'], where('Runtime'))
  if (!runtime.startsWith('nodejs')) {
    skip(scope, id, `its runtime ${runtime === '' ? '' : `${runtime} `}is not Node`)
    return
  }
  if (folder === undefined) {
    const isInline = memberOf(code, 'ZipFile') !== undefined
    skip(scope, id, isInline ? 'its code stands in the template' : 'its code is no local folder')
    return
  }
  const variables = evaluate(
    scope,
    memberAt(properties, 'Environment', 'Variables'),
    where('Environment.Variables'),
  )
  parts.functions.push({
    ...originOf(scope, id),
    name: nameOf(scope, id),
    folder,
    handler: evaluateText(scope, properties['Handler'], where('Handler')),
    environment: Object.fromEntries(
      entriesOf(variables).map(([name, value]) => [name, textOf(value) ?? '']),
    ),
    timeoutSeconds: numberOf(evaluate(scope, properties['Timeout'], where('Timeout'))),
  })
}

/** The file that `serverless package` writes. */
export const serverlessTemplate = 'cloudformation-template-update-stack.json'

function folderOf({ template, context }: Scope, code: unknown): string | undefined {
  const asset = context.assets.get(textOf(memberOf(code, 'S3Key')) ?? '')
  if (asset !== undefined) return asset
  if (path.basename(template.file) === serverlessTemplate && isRecord(code)) {
    return path.dirname(template.folder)
  }
  const isLocal = typeof code === 'string' && !/^s3:|\.(zip|jar)$/.test(code)
  return isLocal ? path.join(template.folder, code) : undefined
}

/** SAM Specification, AWS::Serverless::Function; `Globals.Function` gives members it lacks. */
function readSamFunction(scope: Scope, id: string, own: JsonObject, parts: StackParts): void {
  const properties = withGlobals(memberAt(scope.template.body, 'Globals', 'Function'), own)
  readFunction(scope, id, { CodeUri: '.', ...properties }, parts)
  const alias = evaluateText(scope, properties['AutoPublishAlias'], {
    resource: id,
    member: 'AutoPublishAlias',
  })
  const arn = String(attributeOf(scope, id, 'Arn', { resource: id, member: 'Arn' }))
  const target = alias === '' ? arn : `${arn}:${alias}`
  for (const [name, event] of entriesOf(properties['Events'])) {
    const type = memberOf(event, 'Type')
    const member = `Events.${name}.Properties`
    if (type !== 'IoTRule' && type !== 'Kinesis') continue
    const evaluated = evaluate(scope, memberOf(event, 'Properties'), { resource: id, member })
    const given = isRecord(evaluated) ? evaluated : {}
    if (type === 'IoTRule') {
      const payload = { ruleDisabled: false, actions: [{ lambda: { functionArn: target } }] }
      parts.rules.push({
        ...originOf(scope, `${id}${name}`),
        name: `${id}${name}`,
        payload: { ...apiPayload(given), ...payload },
        tags: {},
      })
    } else {
      const { Stream: stream, ...rest } = given
      const request = { ...rest, EventSourceArn: stream, FunctionName: target }
      addMapping(scope, `${id}${name}`, request, parts)
    }
  }
}

/** SAM: own scalars win, maps are merged, lists are put together. */
function withGlobals(globals: unknown, own: JsonObject): JsonObject {
  return Object.fromEntries([
    ...entriesOf(globals),
    ...Object.entries(own).map(([name, value]): [string, unknown] => {
      const shared = memberOf(globals, name)
      if (isRecord(shared) && isRecord(value)) return [name, withGlobals(shared, value)]
      const areLists = Array.isArray(shared) && Array.isArray(value)
      return [name, areLists ? [...(shared as unknown[]), ...(value as unknown[])] : value]
    }),
  ])
}

function readNested(scope: Scope, id: string, _properties: JsonObject, parts: StackParts): void {
  const nested = nestedScope(scope, id)
  if (nested) readTemplate(nested, parts)
  else skip(scope, id, 'its template is no local file')
}
