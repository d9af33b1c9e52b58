import { entriesOf, isRecord, listOf, memberAt, memberOf, numberOf, textOf } from './json-values.ts'
import type { StackParts } from './read-template.ts'
import { mappingRequest } from './read-template.ts'
import { placeholderFor } from './resource-kinds.ts'
import { apiPayload } from './api-payload.ts'
import { countNotRead } from './scope.ts'
import type { StackContext } from './scope.ts'
import type { JsonObject } from './stack.ts'
import { invalid } from './template-file.ts'
import { createTerraformReferences } from './terraform-references.ts'
import type { TerraformReferences, TerraformResource } from './terraform-references.ts'

const resourcesMax = 100_000
const modulesDepthMax = 50

/**
 * Takes rules, streams and mappings from the JSON of a plan or a state (Terraform, "JSON Output
 * Format", major version 1).
 *
 * @throws SluiceError TemplateInvalid: another version, no values, or a bound is passed
 */
export function readTerraform(
  json: unknown,
  file: string,
  context: StackContext,
  parts: StackParts,
): void {
  const version = textOf(memberOf(json, 'format_version')) ?? ''
  if (version.split('.')[0] !== '1') {
    throw invalid(file, `format_version ${version} of terraform show -json; 1.x can be read`)
  }
  const root =
    memberAt(json, 'planned_values', 'root_module') ?? memberAt(json, 'values', 'root_module')
  if (!isRecord(root)) {
    throw invalid(file, 'terraform show -json without planned_values and values: it is empty')
  }
  const resources = [...resourcesOf(root, file, 0)]
  if (resources.length > resourcesMax) {
    throw invalid(file, `${resources.length} resources; at most ${resourcesMax} are read`)
  }
  const references = createTerraformReferences(json, resources, context.options)
  for (const resource of resources) {
    const read = readers.get(resource.type)
    if (read) read({ file, context, references, parts }, resource)
    else countNotRead(context, resource.type)
  }
}

function* resourcesOf(module: unknown, file: string, depth: number): Iterable<TerraformResource> {
  if (depth > modulesDepthMax) {
    throw invalid(file, `modules that are nested deeper than ${modulesDepthMax} levels`)
  }
  for (const resource of listOf(memberOf(module, 'resources'))) {
    const values = memberOf(resource, 'values')
    if (memberOf(resource, 'mode') !== 'managed') continue
    yield {
      address: textOf(memberOf(resource, 'address')) ?? '',
      type: textOf(memberOf(resource, 'type')) ?? '',
      values: isRecord(values) ? values : {},
    }
  }
  for (const child of listOf(memberOf(module, 'child_modules'))) {
    yield* resourcesOf(child, file, depth + 1)
  }
}

interface Reading {
  readonly file: string
  readonly context: StackContext
  readonly references: TerraformReferences
  readonly parts: StackParts
}

const readers: ReadonlyMap<string, (reading: Reading, resource: TerraformResource) => void> =
  new Map([
    ['aws_iot_topic_rule', readRule],
    ['aws_kinesis_stream', readStream],
    ['aws_lambda_event_source_mapping', readMapping],
    ['aws_lambda_function', skipFunction],
  ])

function readRule(reading: Reading, resource: TerraformResource): void {
  const { file, parts } = reading
  const values = complete(reading, resource)
  const { name, sql, sql_version, enabled, description, tags, tags_all, error_action } = values
  const actions = actionsOf(values)
  const [errorAction] = listOf(error_action).flatMap((block) => actionsOf(block))
  const payload = withoutEmpty({ sql, description })
  parts.rules.push({
    file,
    resource: resource.address,
    name: textOf(name) ?? '',
    payload: apiPayload(
      {
        ...(isRecord(payload) ? payload : {}),
        awsIotSqlVersion: sql_version,
        ruleDisabled: textOf(enabled) === 'false',
        actions,
        ...(errorAction && { errorAction }),
      },
      (member) => member,
    ),
    tags: Object.fromEntries(
      entriesOf(isRecord(tags_all) ? tags_all : tags).map(([key, value]) => [
        key,
        textOf(value) ?? '',
      ]),
    ),
  })
}

/** The blocks of actions, in the order in which the provider sends them. */
const kinds = [
  'cloudwatch_alarm',
  'cloudwatch_logs',
  'cloudwatch_metric',
  'dynamodb',
  'dynamodbv2',
  'elasticsearch',
  'firehose',
  'http',
  'iot_analytics',
  'iot_events',
  'kafka',
  'kinesis',
  'lambda',
  'republish',
  's3',
  'sns',
  'sqs',
  'step_functions',
  'timestream',
]

function actionsOf(values: unknown): readonly JsonObject[] {
  return kinds.flatMap((block) => {
    const kind = camelCase(block).replace('dynamodb', 'dynamoDB')
    return listOf(memberOf(values, block)).map((members) => ({ [kind]: actionMembers(members) }))
  })
}

/** Blocks of one entry are objects in the API, and some repeated blocks have another name. */
const single = new Set(['put_item', 'timestamp'])
const plural: Readonly<Record<string, string>> = {
  http_header: 'headers',
  header: 'headers',
  dimension: 'dimensions',
}

function actionMembers(members: unknown): JsonObject {
  return Object.fromEntries(
    entriesOf(withoutEmpty(members)).map(([name, value]) => {
      if (name === 'client_properties') return ['clientProperties', value]
      const api = Object.hasOwn(plural, name) ? (plural[name] ?? name) : camelCase(name)
      if (!Array.isArray(value)) return [api, value]
      const blocks = value.map((block: unknown) => (isRecord(block) ? actionMembers(block) : block))
      return [api, single.has(name) ? blocks[0] : blocks]
    }),
  )
}

/** Attributes that are not set are null, `""` or `[]` in the JSON. */
function withoutEmpty(members: unknown): unknown {
  return Object.fromEntries(
    entriesOf(members).filter(
      ([, value]) =>
        value !== null &&
        value !== undefined &&
        value !== '' &&
        !(Array.isArray(value) && value.length === 0),
    ),
  )
}

function camelCase(name: string): string {
  return name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}

const shardsOnDemand = 4

function readStream(reading: Reading, resource: TerraformResource): void {
  const values = complete(reading, resource)
  const mode = memberOf(listOf(values['stream_mode_details'])[0], 'stream_mode')
  const shards = numberOf(values['shard_count']) ?? 0
  reading.parts.streams.push({
    file: reading.file,
    resource: resource.address,
    name: textOf(values['name']) ?? '',
    // On demand, the provider writes 0 or nothing.
    shards: shards > 0 ? shards : mode === 'ON_DEMAND' ? shardsOnDemand : 1,
  })
}

/** Attributes that the API of Lambda does not take, or that only AWS sets. */
const mappingMembers: Readonly<Record<string, string>> = {
  batch_size: 'BatchSize',
  bisect_batch_on_function_error: 'BisectBatchOnFunctionError',
  enabled: 'Enabled',
  event_source_arn: 'EventSourceArn',
  function_name: 'FunctionName',
  function_response_types: 'FunctionResponseTypes',
  maximum_batching_window_in_seconds: 'MaximumBatchingWindowInSeconds',
  maximum_record_age_in_seconds: 'MaximumRecordAgeInSeconds',
  maximum_retry_attempts: 'MaximumRetryAttempts',
  parallelization_factor: 'ParallelizationFactor',
  starting_position: 'StartingPosition',
  tumbling_window_in_seconds: 'TumblingWindowInSeconds',
}

function readMapping(reading: Reading, resource: TerraformResource): void {
  const { file, parts, context } = reading
  const values = complete(reading, resource)
  const given = entriesOf(withoutEmpty(values)).flatMap(([name, value]): [string, unknown][] => {
    const api = Object.hasOwn(mappingMembers, name) ? mappingMembers[name] : undefined
    return api === undefined ? [] : [[api, value]]
  })
  const filters = listOf(memberOf(listOf(values['filter_criteria'])[0], 'filter')).map((one) => ({
    Pattern: memberOf(one, 'pattern'),
  }))
  const request = mappingRequest({
    ...Object.fromEntries(given),
    ...(filters.length > 0 && { FilterCriteria: { Filters: filters } }),
  })
  if (/^arn:[^:]*:kinesis:/.test(textOf(request['EventSourceArn']) ?? '')) {
    parts.mappings.push({ file, resource: resource.address, request })
  } else {
    const reason = 'its source is no Kinesis stream'
    context.skipped.push({ file, resource: resource.address, reason })
  }
}

function skipFunction({ file, context }: Reading, { address }: TerraformResource): void {
  const reason = 'Terraform names an archive, not the folder of the code'
  context.skipped.push({ file, resource: address, reason })
}

/** The values with those that are unknown until apply, and lists what stays unknown. */
function complete({ file, context, references }: Reading, resource: TerraformResource): JsonObject {
  const { options, unresolved } = context
  const completed = references.complete(resource, (member, reference) => {
    const answer = reference ?? `${resource.address}.${member}`
    const given = options.parameters.get(answer)
    if (given !== undefined) return given
    const placeholder = placeholderFor(member, answer, options)
    const reason =
      reference === undefined ? 'known after apply' : `${reference} is known after apply`
    const entry = { file, resource: resource.address, member, reason, answer, placeholder }
    unresolved.set(JSON.stringify([file, resource.address, member]), entry)
    return placeholder
  })
  return completed
}
