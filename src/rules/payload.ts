import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { actionKinds, actionSchema } from '../actions/compile-actions.ts'
import type { ActionDefinition } from '../actions/compile-actions.ts'
import { deepFreeze } from '../base/deep-freeze.ts'
import { SluiceError, invalidRequest, messageOf } from '../base/errors.ts'
import type { SqlVersion } from '../sql/sql.ts'
import { listOf, schemaProblems } from '../base/schema-problem.ts'
import { withoutSchemaLink } from '../storage/schema-link.ts'

/**
 * The payload of a rule: AWS IoT's `TopicRulePayload`, as CreateTopicRule takes it and as a file
 * `<name>.json` holds it. All actions of AWS IoT are taken.
 */
export interface TopicRulePayload {
  readonly sql: string
  readonly actions: readonly ActionDefinition[]
  readonly description?: string | undefined
  readonly ruleDisabled: boolean
  readonly awsIotSqlVersion: SqlVersion
  readonly errorAction?: ActionDefinition | undefined
}

/** AWS: a rule payload has at most 128 KB, counted as UTF-8 JSON without white space. */
export const payloadBytesMax = 131_072
const actionsMax = 10
const sqlVersionDefault: SqlVersion = '2015-10-08'

/** CreateTopicRule, `ruleName`. */
export const ruleNamePattern = '^[a-zA-Z0-9_]{1,128}$'

const closed = { additionalProperties: false } as const

/** AWS IoT API Reference, TopicRulePayload. */
export const topicRulePayloadSchema = Type.Object(
  {
    sql: Type.String(),
    actions: Type.Array(actionSchema, { maxItems: actionsMax }),
    description: Type.Optional(Type.String()),
    ruleDisabled: Type.Optional(Type.Boolean()),
    awsIotSqlVersion: Type.Optional(Type.Enum(['2015-10-08', '2016-03-23', 'beta'])),
    errorAction: Type.Optional(actionSchema),
  },
  closed,
)

const payloadValidator = Compile(topicRulePayloadSchema)

/**
 * Checks a payload and completes it with AWS's defaults.
 *
 * @param json the parsed document: the payload, or `{"topicRulePayload": payload}` as the AWS
 *   guide prints it; a member that is null counts as absent
 * @throws SluiceError InvalidRequestException, naming every field that is wrong
 */
export function parsePayload(json: unknown): TopicRulePayload {
  const candidate = withoutNulls(unwrap(json))
  if (isRecord(candidate)) checkKinds(candidate)
  if (!payloadValidator.Check(candidate)) {
    throw schemaProblems(payloadValidator.Errors(candidate), apiNameFor)
  }
  const payload = complete(candidate)
  const bytes = Buffer.byteLength(JSON.stringify(payload))
  if (bytes > payloadBytesMax) {
    throw invalidRequest(
      `the payload has ${bytes} bytes as JSON; at most ${payloadBytesMax} are taken`,
    )
  }
  return payload
}

/**
 * Reads the bytes of a request body.
 *
 * @throws SluiceError InvalidRequestException: no UTF-8, no JSON, or no payload
 */
export function parsePayloadText(bytes: Uint8Array): TopicRulePayload {
  return parsePayload(parseJson(bytes))
}

/**
 * Reads a rule file. Unlike a request, it may have a member `$schema`, by which editors find the
 * schema of the file.
 *
 * @throws SluiceError InvalidRequestException: no UTF-8, no JSON, or no payload
 */
export function parsePayloadFile(bytes: Uint8Array): TopicRulePayload {
  return parsePayload(withoutSchemaLink(parseJson(bytes)))
}

/**
 * @param bytes UTF-8 JSON; a byte order mark is ignored
 * @throws SluiceError InvalidRequestException
 */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (thrown) {
    throw new SluiceError('InvalidRequestException', `not a JSON document: ${messageOf(thrown)}`, {
      cause: thrown,
    })
  }
}

function complete(given: Static<typeof topicRulePayloadSchema>): TopicRulePayload {
  const { sql, actions, description, ruleDisabled, awsIotSqlVersion, errorAction } = given
  return deepFreeze({
    sql,
    // The schema takes any number of kinds in an action: `checkKinds` has seen that it is one.
    actions: actions,
    description,
    ruleDisabled: ruleDisabled ?? false,
    awsIotSqlVersion: awsIotSqlVersion ?? sqlVersionDefault,
    errorAction,
  })
}

/** Each entry names exactly one action of AWS IoT. */
function checkKinds({ actions, errorAction }: Readonly<Record<string, unknown>>): void {
  const entries = Array.isArray(actions) ? (actions as readonly unknown[]) : []
  const problems = [
    ...entries.map((action, index) => kindProblem(action, `actions[${index}]`)),
    kindProblem(errorAction, 'errorAction'),
  ].filter((problem) => problem !== undefined)
  if (problems.length > 0) throw invalidRequest(listOf(problems))
}

function kindProblem(action: unknown, where: string): string | undefined {
  if (!isRecord(action)) return undefined
  const names = Object.keys(action)
  if (names.length === 0) return `${where} names no action: give one of ${actionKinds.join(', ')}`
  const unknown = names.find((name) => !kindNames.includes(name))
  if (unknown !== undefined) {
    const closest = apiNameFor(unknown) ?? `it has ${actionKinds.join(', ')}`
    return `${where}.${unknown} is not an action of AWS IoT: ${closest}`
  }
  if (names.length === 1) return undefined
  return `${where} names ${names.length} actions (${names.join(', ')}): give one each`
}

const kindNames: readonly string[] = actionKinds

/** Names that AWS's guide writes otherwise than its API, which refuses them. */
const namesInTheGuide: Readonly<Record<string, string>> = {
  bucket: 'bucketName',
  cannedacl: 'cannedAcl',
  cloudWatchAlarm: 'cloudwatchAlarm',
  OpenSearch: 'openSearch',
  roleARN: 'roleArn',
  sampleTime: 'timestamp',
  stream: 'streamName',
  table: 'tableName',
}

function apiNameFor(name: string): string | undefined {
  const apiName = Object.hasOwn(namesInTheGuide, name) ? namesInTheGuide[name] : undefined
  return apiName && `the API calls it ${apiName}`
}

/** The guide's files hold `{"topicRulePayload": {...}}` and nothing beside it. */
function unwrap(json: unknown): unknown {
  if (!isRecord(json)) return json
  const [name, ...others] = Object.keys(json)
  return name === 'topicRulePayload' && others.length === 0 ? json[name] : json
}

/**
 * A null member of a structure counts as absent (Smithy, AWS restJson1). Only the levels that a
 * payload has (itself, actions, action, its fields, headers, their lists) are checked, because a
 * document may be nested to any depth.
 */
function withoutNulls(value: unknown, levels = 10): unknown {
  if (levels === 0 || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => withoutNulls(item, levels - 1))
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, member]) =>
      member === null ? [] : [[name, withoutNulls(member, levels - 1)]],
    ),
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
