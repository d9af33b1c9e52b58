import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { SluiceError, invalidRequest, shorten } from '../../base/errors.ts'
import { parseJson } from '../../rules/payload.ts'
import type { RuleStore } from '../../rules/rule-store.ts'
import { schemaProblem } from '../../base/schema-problem.ts'
import type { HttpApp } from '../server/http-app.ts'
import { checkTags, tagsMax } from './tagging.ts'

/** Of a text from outside, in a message. */
const shownCharactersMax = 200

/** The tag operations of the AWS IoT control plane. What is tagged here are rules. */
export interface TagDependencies {
  readonly rules: Pick<RuleStore, 'all' | 'byName' | 'setTags'>
  /** The ARN that the rule of that name has. */
  readonly ruleArnOf: (ruleName: string) => string
}

export const tagSchema = Type.Object({ Key: Type.String(), Value: Type.Optional(Type.String()) })
export const tagRequestSchema = Type.Object({
  resourceArn: Type.String(),
  tags: Type.Array(tagSchema),
})
export const untagRequestSchema = Type.Object({
  resourceArn: Type.String(),
  tagKeys: Type.Array(Type.String()),
})
const tagRequest = Compile(tagRequestSchema)
const untagRequest = Compile(untagRequestSchema)
const listQuery = Type.Object({
  resourceArn: Type.String(),
  nextToken: Type.Optional(Type.String()),
})

export function addTagRoutes(app: HttpApp, { rules, ruleArnOf }: TagDependencies): void {
  const ruleNameOf = (arn: string): string => {
    const name = arnForm.exec(arn)?.[1]
    if (name === undefined) {
      throw invalidRequest(
        `resourceArn ${shorten(arn, shownCharactersMax)} is not the ARN of a rule: ${ruleArnOf('<name>')}`,
      )
    }
    // Of another account or region a rule of that name is another one.
    if (arn === ruleArnOf(name) && rules.byName(name)) return name
    throw new SluiceError(
      'ResourceNotFoundException',
      `there is no resource ${shorten(arn, shownCharactersMax)}`,
    )
  }

  // TagResource
  app.post('/tags', async (request) => {
    const body = parseBody(request.body)
    if (!tagRequest.Check(body)) throw schemaProblem(tagRequest.Errors(body))
    const added = checkTags(body.tags.map(({ Key, Value = '' }) => [Key, Value]))
    await rules.setTags(ruleNameOf(body.resourceArn), (present) => {
      const tags = { ...present, ...added }
      const count = Object.keys(tags).length
      if (count <= tagsMax) return tags
      throw new SluiceError(
        'LimitExceededException',
        `the rule would have ${count} tags; at most ${tagsMax} are taken`,
      )
    })
    return {}
  })

  // UntagResource
  app.post('/untag', async (request) => {
    const body = parseBody(request.body)
    if (!untagRequest.Check(body)) throw schemaProblem(untagRequest.Errors(body))
    const removed = new Set(body.tagKeys)
    await rules.setTags(ruleNameOf(body.resourceArn), (present) =>
      Object.fromEntries(Object.entries(present).filter(([key]) => !removed.has(key))),
    )
    return {}
  })

  // ListTagsForResource: no resource has more tags than one page holds.
  app.get('/tags', { schema: { querystring: listQuery } }, async (request) => {
    const { resourceArn, nextToken } = request.query
    const { tags = {} } = rules.byName(ruleNameOf(resourceArn)) ?? {}
    if (nextToken) throw invalidRequest('nextToken is not one that a list gave')
    return { tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) }
  })
}

const arnForm = /^arn:aws[a-z-]*:iot:[a-z0-9-]+:[0-9]{12}:rule\/([a-zA-Z0-9_]{1,128})$/

function parseBody(body: unknown): unknown {
  return parseJson(body instanceof Uint8Array ? body : new Uint8Array())
}
