import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { SluiceError, invalidRequest, shorten } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { PolicyStore } from '../../identity/policies/policy-store.ts'
import type { RuleStore } from '../../rules/rule-store.ts'
import { checkTags, tagsMax } from '../../base/resource-tags.ts'
import { schemaProblem } from '../../base/schema-problem.ts'
import { bodyJson } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { nextTokenSchema } from '../server/operation.ts'

/** How much of a text from outside an error message repeats. */
const shownCharactersMax = 200

/** The operations on tags of the AWS IoT control plane. Rules and policies can have tags here. */
export interface TagDependencies {
  readonly rules: Pick<RuleStore, 'all' | 'byName' | 'setTags'>
  readonly policies: Pick<PolicyStore, 'get' | 'setTags'>
  /** The ARN of a resource such as `rule/r`. */
  readonly resourceArnOf: (resource: string) => string
}

const tagSchema = Type.Object({ Key: Type.String(), Value: Type.Optional(Type.String()) })
const tagRequestSchema = Type.Object({
  resourceArn: Type.String(),
  tags: Type.Array(tagSchema),
})
const untagRequestSchema = Type.Object({
  resourceArn: Type.String(),
  tagKeys: Type.Array(Type.String()),
})
const tagRequest = Compile(tagRequestSchema)
const untagRequest = Compile(untagRequestSchema)
const listQuery = Type.Object({
  resourceArn: Type.String(),
  nextToken: Type.Optional(Type.String()),
})

const errors: readonly ErrorCode[] = [
  'InvalidRequestException',
  'InternalFailureException',
  'ResourceNotFoundException',
  'ThrottlingException',
]
const emptyObject = { description: 'Done.', schema: Type.Object({}) }

const tagResource = {
  operation: {
    id: 'TagResource',
    summary: 'Adds tags to a rule or a policy, or gives them new values.',
    body: { schema: tagRequestSchema },
    answer: emptyObject,
    errors: [...errors, 'LimitExceededException'],
  },
} satisfies FastifySchema

const untagResource = {
  operation: {
    id: 'UntagResource',
    summary: 'Removes tags from a rule or a policy.',
    body: { schema: untagRequestSchema },
    answer: emptyObject,
    errors,
  },
} satisfies FastifySchema

const listTagsForResource = {
  querystring: listQuery,
  operation: {
    id: 'ListTagsForResource',
    summary: 'Lists the tags of a rule or a policy.',
    answer: {
      description: 'All tags of the resource.',
      schema: Type.Object({ tags: Type.Array(tagSchema), nextToken: nextTokenSchema }),
    },
    errors,
  },
} satisfies FastifySchema

type Tags = Readonly<Record<string, string>>

interface Tagged {
  tags(): Promise<Tags>
  setTags(change: (present: Tags) => Tags): Promise<void>
}

export function addTagRoutes(
  app: HttpApp,
  { rules, policies, resourceArnOf }: TagDependencies,
): void {
  const taggedOf = (arn: string): Tagged => {
    const { kind, name = '' } = arnForm.exec(arn)?.groups ?? {}
    if (kind === undefined) {
      const shown = shorten(arn, shownCharactersMax)
      throw invalidRequest(
        `resourceArn ${shown} is not the ARN of a rule or a policy: ${resourceArnOf('rule/<name>')}`,
      )
    }
    // A resource of that name in another account or region is another one.
    if (arn !== resourceArnOf(`${kind}/${name}`)) throw absent(arn)
    if (kind === 'policy') {
      return {
        tags: async () => (await policies.get(name)).tags,
        setTags: (change) => policies.setTags(name, change),
      }
    }
    if (!rules.byName(name)) throw absent(arn)
    return {
      tags: async () => rules.byName(name)?.tags ?? {},
      setTags: async (change) => void (await rules.setTags(name, change)),
    }
  }

  app.post('/tags', { schema: tagResource }, async (request) => {
    const body = bodyJson(request)
    if (!tagRequest.Check(body)) throw schemaProblem(tagRequest.Errors(body))
    const added = checkTags(body.tags.map(({ Key, Value = '' }) => [Key, Value]))
    await taggedOf(body.resourceArn).setTags((present) => {
      const tags = { ...present, ...added }
      const count = Object.keys(tags).length
      if (count <= tagsMax) return tags
      throw new SluiceError(
        'LimitExceededException',
        `the resource would have ${count} tags; at most ${tagsMax} are taken`,
      )
    })
    return {}
  })

  app.post('/untag', { schema: untagResource }, async (request) => {
    const body = bodyJson(request)
    if (!untagRequest.Check(body)) throw schemaProblem(untagRequest.Errors(body))
    const removed = new Set(body.tagKeys)
    await taggedOf(body.resourceArn).setTags((present) =>
      Object.fromEntries(Object.entries(present).filter(([key]) => !removed.has(key))),
    )
    return {}
  })

  // No resource has more tags than one page holds.
  app.get('/tags', { schema: listTagsForResource }, async (request) => {
    const { resourceArn, nextToken } = request.query
    const tags = await taggedOf(resourceArn).tags()
    if (nextToken) throw invalidRequest('nextToken is not one that a list gave')
    return { tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) }
  })
}

const absent = (arn: string) =>
  new SluiceError(
    'ResourceNotFoundException',
    `there is no resource ${shorten(arn, shownCharactersMax)}`,
  )

const arnForm =
  /^arn:aws[a-z-]*:iot:[a-z0-9-]+:[0-9]{12}:(?<kind>rule|policy)\/(?<name>[\w+=,.@-]{1,128})$/
