import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { actionKinds, actionSchema } from '../actions/compile-actions.ts'
import type { ActionDefinition } from '../actions/compile-actions.ts'
import { likelyNames } from '../base/closest-name.ts'
import { deepFreeze } from '../base/deep-freeze.ts'
import {
  SluiceError,
  invalidField,
  invalidRequest,
  messageOf,
  shorten,
  throwFaults,
} from '../base/errors.ts'
import type { SqlVersion } from '../sql/sql.ts'
import { withoutSchemaLink } from '../storage/schema-link.ts'
import { readBySchema } from './read-by-schema.ts'

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

/** A payload as it was read, for the compiler of rules, which tells the faults with its own. */
export interface ReadPayload {
  /** With faults it is for finding further ones only: stand-ins replace what cannot be used. */
  readonly payload: TopicRulePayload
  /** InvalidRequestException each, naming its field. */
  readonly faults: readonly SluiceError[]
}

/**
 * Checks a payload and completes it with AWS's defaults.
 *
 * @param json the parsed document: the payload, or `{"topicRulePayload": payload}` as the AWS
 *   guide prints it; a member that is null counts as absent
 * @throws SluiceError InvalidRequestException: no object
 */
export function readPayload(json: unknown): ReadPayload {
  const candidate = withoutNulls(unwrap(json))
  if (!isRecord(candidate)) throw invalidField('the document', ' must be an object')
  const faults: SluiceError[] = []
  const payload = complete(
    payloadValidator.Check(candidate) ? candidate : readFaulty(candidate, faults),
  )
  checkKinds(candidate, faults)
  const bytes = Buffer.byteLength(JSON.stringify(payload))
  if (bytes > payloadBytesMax) {
    faults.push(
      invalidRequest(
        `the payload has ${bytes} bytes as JSON; at most ${payloadBytesMax} are taken`,
      ),
    )
  }
  return { payload, faults }
}

/**
 * The same for callers that do not compile the rule.
 *
 * @throws SluiceError InvalidRequestException, naming every field that is wrong
 */
export function parsePayload(json: unknown): TopicRulePayload {
  const { payload, faults } = readPayload(json)
  throwFaults(faults)
  return payload
}

/**
 * Reads the bytes of a request body.
 *
 * @throws SluiceError InvalidRequestException: no UTF-8, no JSON or no object
 */
export function readPayloadText(bytes: Uint8Array): ReadPayload {
  return readPayload(parseJson(bytes))
}

/**
 * Reads a rule file. Unlike a request, it may have a member `$schema`, by which editors find the
 * schema of the file.
 *
 * @throws SluiceError InvalidRequestException: no UTF-8, no JSON or no object
 */
export function readPayloadFile(bytes: Uint8Array): ReadPayload {
  return readPayload(withoutSchemaLink(parseJson(bytes)))
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

/** Adds the faults of a payload that does not fit the schema. */
function readFaulty(
  candidate: unknown,
  faults: SluiceError[],
): Static<typeof topicRulePayloadSchema> {
  const read = readBySchema(topicRulePayloadSchema, candidate, '', {
    report: (field, problem) => faults.push(invalidField(field, problem)),
    unknownName(name, names, schema) {
      const { hint, meant } = suggestion(name, names)
      if (schema !== actionSchema) {
        return { meant, problem: ` is not a known member${hint === undefined ? '' : `: ${hint}`}` }
      }
      const help = hint ?? `it has ${actionKinds.join(', ')}`
      return { meant, problem: ` is not an action of AWS IoT: ${help}` }
    },
  })
  return read as Static<typeof topicRulePayloadSchema>
}

/** Each entry names exactly one action of AWS IoT. */
function checkKinds(
  { actions, errorAction }: Readonly<Record<string, unknown>>,
  faults: SluiceError[],
): void {
  const check = (action: unknown, field: string) => {
    if (!isRecord(action)) return
    const names = Object.keys(action)
    if (names.length === 1) return
    const problem =
      names.length === 0
        ? ` names no action: give one of ${actionKinds.join(', ')}`
        : ` names ${names.length} actions (${shorten(names.join(', '), 200)}): give one each`
    faults.push(invalidField(field, problem))
  }
  const entries = Array.isArray(actions) ? (actions as readonly unknown[]) : []
  for (const [index, action] of entries.entries()) check(action, `actions[${index}]`)
  check(errorAction, 'errorAction')
}

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

/** What may have been meant by a name, and the one name when it is clear. */
function suggestion(
  name: string,
  names: readonly string[],
): { readonly hint?: string; readonly meant?: string | undefined } {
  const inTheApi = Object.hasOwn(namesInTheGuide, name) ? namesInTheGuide[name] : undefined
  if (inTheApi !== undefined && names.includes(inTheApi)) {
    return { hint: `the API calls it ${inTheApi}`, meant: inTheApi }
  }
  const likely = likelyNames(name, names)
  if (likely.length === 0) return {}
  const hint = `did you mean ${likely.join(' or ')}?`
  return { hint, meant: likely.length === 1 ? likely[0] : undefined }
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
