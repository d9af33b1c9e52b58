import { Type } from 'typebox'
import type { ErrorCode } from '../../base/errors.ts'
import { topicRulePayloadSchema } from '../../rules/payload.ts'
import { tagRequestSchema, tagSchema, untagRequestSchema } from './iot-tags.ts'
import { emptyAnswer, nextTokenSchema } from '../server/operation.ts'
import type { Operations } from '../server/operation.ts'

/** AWS IoT's control plane, as its service model of 2015-05-28 declares it. */
const rule: readonly ErrorCode[] = [
  'InternalException',
  'InvalidRequestException',
  'ServiceUnavailableException',
  'UnauthorizedException',
]
const ruleUpdate: readonly ErrorCode[] = [...rule, 'ConflictingResourceUpdateException']
const tagging: readonly ErrorCode[] = [
  'InvalidRequestException',
  'InternalFailureException',
  'ResourceNotFoundException',
  'ThrottlingException',
]

const ruleArn = Type.String({ description: '`arn:aws:iot:<region>:<account>:rule/<ruleName>`' })
const createdAt = Type.Number({ description: 'Epoch seconds.' })
const payloadBody = {
  schema: topicRulePayloadSchema,
}
const wrapped =
  'The body is the payload itself; `{"topicRulePayload": {...}}` is taken as well. At most 128 KiB as JSON.'

export const controlPlaneOperations: Operations = Object.freeze({
  'POST /rules/:ruleName': {
    id: 'CreateTopicRule',
    summary: 'Makes a rule.',
    description: wrapped,
    headers: Type.Object({
      'x-amz-tagging': Type.Optional(
        Type.String({ description: 'Tags, URL-encoded: `team=plant&site=north%2F2`.' }),
      ),
    }),
    body: payloadBody,
    answer: emptyAnswer,
    errors: ['SqlParseException', ...ruleUpdate, 'ResourceAlreadyExistsException'],
  },
  'PATCH /rules/:ruleName': {
    id: 'ReplaceTopicRule',
    summary: 'Replaces the payload of a rule; tags and delivery settings stay.',
    description: wrapped,
    body: payloadBody,
    answer: emptyAnswer,
    errors: ['SqlParseException', ...ruleUpdate],
  },
  'GET /rules/:ruleName': {
    id: 'GetTopicRule',
    summary: 'Reads a rule.',
    description: 'Of a rule that is not there: UnauthorizedException, as on AWS.',
    answer: {
      description: 'The rule.',
      schema: Type.Object({
        ruleArn,
        rule: Type.Object({
          ruleName: Type.String(),
          createdAt,
          ...topicRulePayloadSchema.properties,
        }),
      }),
    },
    errors: rule,
  },
  'GET /rules': {
    id: 'ListTopicRules',
    summary: 'Lists rules in the order of their names.',
    answer: {
      description: 'A page.',
      schema: Type.Object({
        rules: Type.Array(
          Type.Object({
            ruleArn,
            ruleName: Type.String(),
            topicPattern: Type.Optional(Type.String({ description: 'Absent without FROM.' })),
            createdAt,
            ruleDisabled: Type.Boolean(),
          }),
        ),
        nextToken: nextTokenSchema,
      }),
    },
    errors: rule,
  },
  'DELETE /rules/:ruleName': {
    id: 'DeleteTopicRule',
    summary: 'Deletes a rule; one that is not there is no error.',
    answer: emptyAnswer,
    errors: ruleUpdate,
  },
  'POST /rules/:ruleName/enable': {
    id: 'EnableTopicRule',
    summary: 'Enables a rule.',
    answer: emptyAnswer,
    errors: ruleUpdate,
  },
  'POST /rules/:ruleName/disable': {
    id: 'DisableTopicRule',
    summary: 'Disables a rule.',
    answer: emptyAnswer,
    errors: ruleUpdate,
  },
  'POST /tags': {
    id: 'TagResource',
    summary: 'Adds tags to a rule, or gives them new values.',
    body: { schema: tagRequestSchema },
    answer: { description: 'Done.', schema: Type.Object({}) },
    errors: [...tagging, 'LimitExceededException'],
  },
  'POST /untag': {
    id: 'UntagResource',
    summary: 'Takes tags from a rule.',
    body: { schema: untagRequestSchema },
    answer: { description: 'Done.', schema: Type.Object({}) },
    errors: tagging,
  },
  'GET /tags': {
    id: 'ListTagsForResource',
    summary: 'Lists the tags of a rule.',
    answer: {
      description: 'All of them.',
      schema: Type.Object({ tags: Type.Array(tagSchema), nextToken: nextTokenSchema }),
    },
    errors: tagging,
  },
  'GET /endpoint': {
    id: 'DescribeEndpoint',
    summary: 'Names the host and port of the data plane: those of this server.',
    answer: {
      description: 'The endpoint.',
      schema: Type.Object({ endpointAddress: Type.String() }),
    },
    errors: [
      'InternalFailureException',
      'InvalidRequestException',
      'UnauthorizedException',
      'ThrottlingException',
    ],
  },
} satisfies Operations)
