import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { actionKinds } from '../actions/compile-actions.ts'
import type { ActionDefinition } from '../actions/compile-actions.ts'
import { deepFreeze } from '../base/deep-freeze.ts'
import { SluiceError, invalidRequest, messageOf } from '../base/errors.ts'
import type { SqlVersion } from '../sql/sql.ts'
import { schemaProblem } from '../base/schema-problem.ts'

/**
 * The payload of a rule: AWS IoT's `TopicRulePayload`, as CreateTopicRule takes it and as a file
 * `<name>.json` holds it. An action that this engine does not execute is refused here, by name: no
 * rule is stored and then silently not run.
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

/** `arn:<partition>:iam::<account>:role/<path and name>`; the field takes no template. */
const roleArnPattern = '^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}$'

/** CreateTopicRule, `ruleName`. */
export const ruleNamePattern = '^[a-zA-Z0-9_]{1,128}$'

const closed = { additionalProperties: false } as const

/** AWS IoT API Reference, KinesisAction. */
const kinesisActionSchema = Type.Object(
  {
    roleArn: Type.String({ pattern: roleArnPattern }),
    streamName: Type.String(),
    partitionKey: Type.Optional(Type.String()),
  },
  closed,
)

/** AWS IoT API Reference, RepublishAction and MqttHeaders. */
const republishActionSchema = Type.Object(
  {
    roleArn: Type.String({ pattern: roleArnPattern }),
    topic: Type.String(),
    qos: Type.Optional(Type.Enum([0, 1])),
    headers: Type.Optional(
      Type.Object(
        {
          payloadFormatIndicator: Type.Optional(Type.String()),
          contentType: Type.Optional(Type.String()),
          responseTopic: Type.Optional(Type.String()),
          correlationData: Type.Optional(Type.String()),
          messageExpiry: Type.Optional(Type.String()),
          userProperties: Type.Optional(
            Type.Array(Type.Object({ key: Type.String(), value: Type.String() }, closed), {
              minItems: 1,
              maxItems: 100,
            }),
          ),
        },
        closed,
      ),
    ),
  },
  closed,
)

/** AWS IoT API Reference, Action: an object with one member; see `refuseAction`. */
const actionSchema = Type.Object(
  {
    kinesis: Type.Optional(kinesisActionSchema),
    republish: Type.Optional(republishActionSchema),
  },
  closed,
)

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

/** The members of AWS's Action union: those that are not executed are refused by name. */
const awsActionNames: readonly string[] = [
  'cloudwatchAlarm',
  'cloudwatchLogs',
  'cloudwatchMetric',
  'dynamoDB',
  'dynamoDBv2',
  'elasticsearch',
  'firehose',
  'http',
  'influxDB',
  'iotAnalytics',
  'iotEvents',
  'iotSiteWise',
  'kafka',
  'kinesis',
  'lambda',
  'location',
  'openSearch',
  'republish',
  's3',
  'salesforce',
  'sns',
  'sqs',
  'stepFunctions',
  'timestream',
]
const executedActionNames: readonly string[] = actionKinds

/**
 * Checks a payload and completes it with AWS's defaults.
 *
 * @param json the parsed document: the payload, or `{"topicRulePayload": payload}` as the AWS
 *   guide prints it; a member that is null counts as absent
 * @throws SluiceError InvalidRequestException, naming the field
 */
export function parsePayload(json: unknown): TopicRulePayload {
  const candidate = withoutNulls(unwrap(json))
  if (isRecord(candidate)) refuseWhatIsNotExecuted(candidate)
  if (!payloadValidator.Check(candidate)) throw schemaProblem(payloadValidator.Errors(candidate))
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
 * Reads the bytes of a request body or of a file.
 *
 * @throws SluiceError InvalidRequestException: no UTF-8, no JSON, or no payload
 */
export function parsePayloadText(bytes: Uint8Array): TopicRulePayload {
  return parsePayload(parseJson(bytes))
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
    // The schema takes any number of kinds in an action: `refuseAction` has seen to it that it is
    // one.
    actions: actions as readonly ActionDefinition[],
    description,
    ruleDisabled: ruleDisabled ?? false,
    awsIotSqlVersion: awsIotSqlVersion ?? sqlVersionDefault,
    errorAction: errorAction as ActionDefinition | undefined,
  })
}

function refuseWhatIsNotExecuted({
  actions,
  errorAction,
}: Readonly<Record<string, unknown>>): void {
  if (isRecord(errorAction)) refuseAction(Object.keys(errorAction), 'errorAction')
  if (!Array.isArray(actions)) return
  for (const [index, action] of actions.entries()) {
    if (isRecord(action)) refuseAction(Object.keys(action), `actions[${index}]`)
  }
}

function refuseAction(names: readonly string[], where: string): void {
  const executed = executedActionNames.join(', ')
  const [name] = names
  if (name === undefined) throw invalidRequest(`${where} names no action: give one of ${executed}`)
  for (const other of names) {
    if (executedActionNames.includes(other)) continue
    if (awsActionNames.includes(other)) {
      throw invalidRequest(
        `${where}.${other}: this engine does not execute ${other}, only ${executed}`,
      )
    }
    throw invalidRequest(
      `${where}.${other} is not an action of AWS IoT; this engine executes ${executed}`,
    )
  }
  if (names.length > 1) {
    throw invalidRequest(
      `${where} names ${names.length} actions (${names.join(', ')}): give one each`,
    )
  }
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
function withoutNulls(value: unknown, levels = 7): unknown {
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
