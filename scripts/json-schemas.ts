import { format } from 'prettier'
import type { TSchema } from 'typebox'
import { actionKinds, actionSchema } from '../src/actions/compile-actions.ts'
import { ruleTestsSchema } from '../src/cli/rules/rule-tests.ts'
import {
  documentMembers,
  policyLimits,
  policyVersion,
  statementMembers,
} from '../src/identity/policies/policy-document.ts'
import { certificateForm, targetsMax, userForm } from '../src/identity/policies/policy-targets.ts'
import { ruleDeliverySchema } from '../src/rules/delivery.ts'
import { topicRulePayloadSchema } from '../src/rules/payload.ts'
import { ruleMetadataSchema } from '../src/rules/rule-files.ts'
import { ofActions, ofKind } from './action-descriptions.ts'

/**
 * JSON Schemas of the files that people write, made from what the code checks them with. Editors
 * know draft 7 best.
 */
type JsonSchema = boolean | { readonly [keyword: string]: unknown }

/** Descriptions by the name of a member, which editors show. */
type Descriptions = Readonly<Record<string, string>>

const ofRule: Descriptions = {
  sql: "The statement: SELECT ... FROM '<topic filter>' [WHERE ...]. docs/SQL.md",
  actions: 'What the rule does with each message that it selects, at most ten. docs/ACTIONS.md',
  errorAction: 'The action that gets a document when another action fails.',
  awsIotSqlVersion: 'Name 2016-03-23: without a version, AWS takes 2015-10-08.',
  ruleDisabled: 'true: the rule is kept and not run.',
}
const ofTest: Descriptions = {
  expect: 'What the rule makes of the message.',
  matched: 'Whether the message gets through FROM and WHERE.',
  output: 'The output of SELECT, compared as JSON.',
  outputBase64: 'The output of SELECT, compared byte by byte.',
  records: 'All records for streams, in the order of the actions.',
  republished: 'All republished messages, in the order of the actions.',
  calls: 'All calls of other services, in the order of the actions.',
  payload: 'The payload of the message, any JSON.',
  payloadBase64: 'The payload of the message, any bytes.',
  timestamp: 'What timestamp() returns, in epoch milliseconds.',
}
const ofMetadata: Descriptions = {
  tags: 'Tags of the rule, as AWS clients give them.',
  createdAt: 'When the rule was created, in epoch seconds.',
  delivery: 'How records are delivered. docs/ACTIONS.md, "Delivery settings"',
}
const ofDelivery: Descriptions = {
  defaults: 'For all actions that have no setting of their own.',
  actions: 'For single actions, by their index, and for errorAction.',
}

/** A copy without what belongs to the library, and with descriptions of members. */
function described(
  schema: TSchema,
  descriptions: Descriptions,
): { readonly [keyword: string]: unknown } {
  return JSON.parse(JSON.stringify(schema), (_name, value: unknown) => {
    if (!isObject(value) || !isObject(value['properties'])) return value
    const properties = Object.entries(value['properties']).map(([name, member]) => {
      const description = Object.hasOwn(descriptions, name) ? descriptions[name] : undefined
      return [name, isObject(member) && description ? { description, ...member } : member]
    })
    return { ...value, properties: Object.fromEntries(properties) as unknown }
  }) as { readonly [keyword: string]: unknown }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The link to the schema itself, by which editors find it. */
const link = { $schema: { type: 'string' } }

/** The payload is the file, or stands in it as `topicRulePayload`. */
function ruleSchema(): JsonSchema {
  const kinds = Object.entries(actionSchema.properties).map(([kind, schema]) => [
    kind,
    described(schema, { ...ofActions, ...ofKind[kind] }),
  ])
  const action = {
    ...described(actionSchema, {}),
    properties: Object.fromEntries(kinds) as object,
    minProperties: 1,
    maxProperties: 1,
  }
  const actionRef = { $ref: '#/definitions/action' }
  const payload = described(topicRulePayloadSchema, ofRule)
  const given = payload['properties'] as Readonly<Record<string, object>>
  const properties = {
    ...given,
    actions: { ...given['actions'], items: actionRef },
    errorAction: { description: ofRule['errorAction'], ...actionRef },
  }
  return {
    if: { type: 'object', required: ['topicRulePayload'] },
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
    then: {
      type: 'object',
      properties: { ...link, topicRulePayload: { $ref: '#/definitions/payload' } },
      additionalProperties: false,
    },
    else: { ...payload, properties: { ...link, ...properties } },
    definitions: { action, payload: { ...payload, properties } },
  }
}

function ruleTestSchema(): JsonSchema {
  const tests = described(ruleTestsSchema, ofTest)
  return JSON.parse(JSON.stringify(tests), (_name, value: unknown) => {
    if (!isObject(value) || !isObject(value['properties'])) return value
    const { properties } = value
    // Completion offers the kinds; a kind that is none of them never passes a test.
    if ('operation' in properties && isObject(properties['kind'])) {
      const examples = actionKinds.filter((kind) => kind !== 'kinesis' && kind !== 'republish')
      return { ...value, properties: { ...properties, kind: { ...properties['kind'], examples } } }
    }
    if (!('payloadBase64' in properties)) return value
    return { ...value, oneOf: [{ required: ['payload'] }, { required: ['payloadBase64'] }] }
  }) as JsonSchema
}

function ruleMetaSchema(): JsonSchema {
  const metadata = described(ruleMetadataSchema, ofMetadata)
  const properties = metadata['properties'] as Readonly<Record<string, unknown>>
  const delivery = {
    description: ofMetadata['delivery'],
    ...described(ruleDeliverySchema, ofDelivery),
  }
  return { ...metadata, properties: { ...link, ...properties, delivery } }
}

/** A text or a list of texts. */
const texts = (description: string): JsonSchema => ({
  description,
  anyOf: [
    { type: 'string', minLength: 1 },
    {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      minItems: 1,
      maxItems: policyLimits.entriesMax,
    },
  ],
})

function policySchema(): JsonSchema {
  const statement: Readonly<Record<string, JsonSchema>> = {
    Sid: { description: 'A name for people.', type: 'string' },
    Effect: { enum: ['Allow', 'Deny'] },
    Action: texts('iot:Connect, iot:Publish, iot:Subscribe, iot:Receive, ..., or iot:*'),
    NotAction: texts('Every action but these.'),
    Resource: texts('ARNs such as arn:aws:iot:*:*:topic/dt/${iot:ClientId}/*'),
    NotResource: texts('Every resource but these.'),
    Condition: {
      description: 'Bool with iot:Connection.Thing.IsAttached; any other is refused.',
      type: 'object',
      properties: { Bool: { type: 'object' } },
      additionalProperties: false,
    },
  }
  const document: Readonly<Record<string, JsonSchema>> = {
    Version: { const: policyVersion },
    Id: { type: 'string' },
    Statement: {
      anyOf: [
        { $ref: '#/definitions/statement' },
        {
          type: 'array',
          items: { $ref: '#/definitions/statement' },
          minItems: 1,
          maxItems: policyLimits.statementsMax,
        },
      ],
    },
  }
  return {
    type: 'object',
    required: ['Version', 'Statement'],
    properties: { ...link, ...only(document, documentMembers) },
    additionalProperties: false,
    definitions: {
      statement: {
        type: 'object',
        required: ['Effect'],
        properties: only(statement, statementMembers),
        additionalProperties: false,
        allOf: [
          { oneOf: [{ required: ['Action'] }, { required: ['NotAction'] }] },
          { oneOf: [{ required: ['Resource'] }, { required: ['NotResource'] }] },
        ],
      },
    },
  }
}

/** @throws Error when the code knows other members than these */
function only(
  members: Readonly<Record<string, JsonSchema>>,
  known: readonly string[],
): Readonly<Record<string, JsonSchema>> {
  if (Object.keys(members).join() === known.join()) return members
  throw new Error(`a policy has the members ${known.join(', ')}`)
}

function policyMetaSchema(): JsonSchema {
  return {
    type: 'object',
    required: ['targets'],
    properties: {
      ...link,
      targets: {
        description: 'The clients that the policy is attached to.',
        type: 'array',
        maxItems: targetsMax,
        items: {
          anyOf: [
            { enum: ['all', 'anonymous'] },
            { type: 'string', pattern: userForm.source },
            { type: 'string', pattern: certificateForm.source },
          ],
        },
      },
    },
    additionalProperties: false,
  }
}

/** The items of a table. The keys of a table are known to the statements that read it. */
function stubTableSchema(): JsonSchema {
  const item = {
    description: 'An item as plain JSON, with the keys that the statement names.',
    type: 'object',
  }
  return { type: 'array', items: item, examples: [[{ id: 'd7', room: 'kitchen' }]] }
}

function stubSecretSchema(): JsonSchema {
  return {
    type: ['object', 'string'],
    examples: [{ username: 'me', password: 'not-a-secret' }, 'not-a-secret'],
  }
}

/** Sluice passes the answer on as it is, so that nothing but an object is demanded. */
function stubObjectSchema(members: Descriptions, example: object): JsonSchema {
  const properties = Object.entries(members).map(([name, description]) => [name, { description }])
  return {
    type: 'object',
    properties: { ...link, ...(Object.fromEntries(properties) as object) },
    examples: [example],
  }
}

const stubShadowSchema = () =>
  stubObjectSchema(
    {
      state: 'An object with desired, reported and delta.',
      metadata: 'When each member of state was changed, in epoch seconds.',
      version: 'The version of the shadow, a whole number.',
      timestamp: 'When the document was made, in epoch seconds.',
    },
    { state: { reported: { temp: 21 } }, version: 1 },
  )

const stubThingSchema = () =>
  stubObjectSchema(
    {
      thingName: 'The name of the thing.',
      thingTypeName: 'The name of its type.',
      attributes: 'An object of texts.',
      defaultClientId: 'The client id of the thing.',
      thingId: 'The id that AWS IoT has given it.',
      thingArn: 'The ARN of the thing.',
      version: 'The version of the thing, a whole number.',
      billingGroupName: 'The name of its billing group.',
    },
    { thingName: 't', attributes: { room: 'kitchen' }, version: 1 },
  )

const stubThingGroupsSchema = () =>
  stubObjectSchema(
    {
      thingGroups: 'A list of objects with groupName and groupArn.',
      nextToken: 'Only the first page counts.',
    },
    { thingGroups: [{ groupName: 'kitchen', groupArn: 'arn:aws:iot:...' }] },
  )

const files: Readonly<Record<string, readonly [title: string, schema: () => JsonSchema]>> = {
  rule: ['A rule of AWS IoT: rules/<name>.json', ruleSchema],
  'rule-test': ['Tests of a rule: rules/<name>.test.json', ruleTestSchema],
  'rule-meta': ['What stands beside a rule: rules/<name>.meta.json', ruleMetaSchema],
  policy: ['A policy: policies/<name>.json', policySchema],
  'policy-meta': ['Whom a policy is for: policies/<name>.meta.json', policyMetaSchema],
  'stub-table': ['The items of a table: stubs/dynamodb/<table>.json', stubTableSchema],
  'stub-secret': ['A secret: stubs/secrets/<name>.json', stubSecretSchema],
  'stub-shadow': ['A shadow: stubs/shadows/<thing>.json', stubShadowSchema],
  'stub-thing': ['A thing: stubs/registry/DescribeThing/<thing>.json', stubThingSchema],
  'stub-thing-groups': [
    'The groups of a thing: stubs/registry/ListThingGroupsForThing/<thing>.json',
    stubThingGroupsSchema,
  ],
}

/** The generated files, as they are formatted. */
export const schemaFiles: Readonly<Record<string, () => Promise<string>>> = Object.fromEntries(
  Object.entries(files).map(([name, [title, schema]]) => [
    `schemas/${name}.schema.json`,
    () => {
      const made = schema()
      const whole = {
        $schema: 'http://json-schema.org/draft-07/schema#',
        title,
        ...(typeof made === 'boolean' ? {} : made),
      }
      return format(JSON.stringify(whole, null, 2), { parser: 'json', printWidth: 100 })
    },
  ]),
)
