import { entriesOf, isRecord, listOf, memberAt, memberOf, textOf } from './json-values.ts'
import { resourceKind } from './resource-kinds.ts'
import type { JsonObject, StackOptions } from './stack.ts'

/** A managed resource with its values; what is unknown until apply is absent there. */
export interface TerraformResource {
  readonly address: string
  readonly type: string
  readonly values: JsonObject
}

/** Fills in what a plan does not know, from the resources that its configuration refers to. */
export interface TerraformReferences {
  /**
   * @param ask gives the value of a member that stays unknown; `reference` is what it refers to
   * @returns the values of the resource, without gaps
   */
  complete(
    resource: TerraformResource,
    ask: (member: string, reference: string | undefined) => string,
  ): JsonObject
}

/** The members of these resources whose ARN follows from their name. */
const types: Readonly<Record<string, string>> = {
  aws_cloudwatch_log_group: 'AWS::Logs::LogGroup',
  aws_cloudwatch_metric_alarm: 'AWS::CloudWatch::Alarm',
  aws_dynamodb_table: 'AWS::DynamoDB::Table',
  aws_iam_role: 'AWS::IAM::Role',
  aws_kinesis_firehose_delivery_stream: 'AWS::KinesisFirehose::DeliveryStream',
  aws_kinesis_stream: 'AWS::Kinesis::Stream',
  aws_lambda_function: 'AWS::Lambda::Function',
  aws_s3_bucket: 'AWS::S3::Bucket',
  aws_sfn_state_machine: 'AWS::StepFunctions::StateMachine',
  aws_sns_topic: 'AWS::SNS::Topic',
  aws_sqs_queue: 'AWS::SQS::Queue',
}
/** The attribute that holds the name, where it is not `name`. */
const nameAttributes: Readonly<Record<string, string>> = {
  aws_lambda_function: 'function_name',
  aws_s3_bucket: 'bucket',
  aws_cloudwatch_metric_alarm: 'alarm_name',
}
const arnAttributes = new Set(['arn', 'id', 'url', 'invoke_arn'])
/** The `id` of these is their ARN. */
const arnAsId = new Set(['aws_kinesis_stream', 'aws_kinesis_firehose_delivery_stream'])
const depthMax = 20

export function createTerraformReferences(
  json: unknown,
  resources: readonly TerraformResource[],
  options: StackOptions,
): TerraformReferences {
  const byAddress = new Map(resources.map((resource) => [resource.address, resource]))
  const unknown = new Map(
    listOf(memberOf(json, 'resource_changes')).map((change) => [
      textOf(memberOf(change, 'address')) ?? '',
      memberAt(change, 'change', 'after_unknown'),
    ]),
  )
  const configuration = new Map(
    expressionsOf(memberAt(json, 'configuration', 'root_module'), '', 0),
  )

  /** The value of `aws_kinesis_stream.x.name`, as the module with this prefix sees it. */
  function valueOf(reference: string, prefix: string): string | undefined {
    const [, address = '', attribute = ''] =
      /^((?:module\.[^.]+\.)*\w+\.[^.]+)\.(\w+)$/.exec(reference) ?? []
    const resource = byAddress.get(prefix + address)
    if (!resource) return undefined
    const known = textOf(memberOf(resource.values, attribute))
    if (known !== undefined) return known
    const kind = resourceKind(types[resource.type] ?? '')
    const name = textOf(resource.values[nameAttributes[resource.type] ?? 'name'])
    if (!kind || name === undefined || !arnAttributes.has(attribute)) return undefined
    if (attribute === 'url' || (attribute === 'id' && kind.ref === 'queueUrl')) {
      return `https://sqs.${options.region}.amazonaws.com/${options.accountId}/${name}`
    }
    const isName = attribute === 'id' && kind.ref === undefined && !arnAsId.has(resource.type)
    return isName ? name : kind.arn(name, options)
  }

  return {
    complete(resource, ask) {
      const prefix = modulePrefix(resource.address)
      const written = configuration.get(withoutIndexes(resource.address))
      // What only AWS sets (arn, id) is unknown in every plan, and is of no interest here.
      const gaps = Object.fromEntries(
        entriesOf(unknown.get(resource.address)).filter(
          ([name, gap]) => gap !== true || memberOf(written, name) !== undefined,
        ),
      )
      const valueFor = (member: string, found: readonly string[]) =>
        found.map((one) => valueOf(one, prefix)).find((one) => one !== undefined) ??
        ask(member, found[0] === undefined ? undefined : prefix + found[0])
      return fillGaps({ values: resource.values, gaps, written }, '', valueFor) as JsonObject
    },
  }
}

/** Values of a plan, what is unknown in them, and how they are written. */
interface Planned {
  readonly values: unknown
  readonly gaps: unknown
  readonly written: unknown
}

function fillGaps(
  { values, gaps, written }: Planned,
  member: string,
  valueFor: (member: string, references: readonly string[]) => string,
  depth = 0,
): unknown {
  if (gaps === true) {
    const found = listOf(memberOf(written, 'references'))
    return valueFor(
      member,
      found.filter((one) => typeof one === 'string'),
    )
  }
  if (depth > depthMax) return values
  if (Array.isArray(gaps)) {
    const count = Math.max(listOf(values).length, gaps.length)
    return Array.from({ length: count }, (_, index) => {
      const block = {
        values: listOf(values)[index],
        gaps: gaps[index] as unknown,
        // A set may be written in another order.
        written: listOf(written)[index] ?? listOf(written)[0],
      }
      return fillGaps(block, `${member}[${index}]`, valueFor, depth + 1)
    })
  }
  if (!isRecord(gaps)) return values
  const filled = Object.entries(gaps).map(([name, gap]): [string, unknown] => {
    const inner = {
      values: memberOf(values, name),
      gaps: gap,
      written: memberOf(written, name),
    }
    const path = member === '' ? name : `${member}.${name}`
    return [name, fillGaps(inner, path, valueFor, depth + 1)]
  })
  return { ...(isRecord(values) ? values : {}), ...Object.fromEntries(filled) }
}

/** `module.a.aws_x.y` -> `module.a.`. */
function modulePrefix(address: string): string {
  return /^(?:module\.[^.[]+(?:\[[^\]]*\])?\.)*/.exec(address)?.[0] ?? ''
}

/** Resources of `count` and `for_each` share one configuration. */
function withoutIndexes(address: string): string {
  return address.replaceAll(/\[[^\]]*\]/g, '')
}

function* expressionsOf(
  module: unknown,
  prefix: string,
  depth: number,
): Iterable<readonly [string, unknown]> {
  if (depth > depthMax) return
  for (const resource of listOf(memberOf(module, 'resources'))) {
    yield [`${prefix}${textOf(memberOf(resource, 'address'))}`, memberOf(resource, 'expressions')]
  }
  for (const [name, call] of entriesOf(memberOf(module, 'module_calls'))) {
    yield* expressionsOf(memberOf(call, 'module'), `${prefix}module.${name}.`, depth + 1)
  }
}
