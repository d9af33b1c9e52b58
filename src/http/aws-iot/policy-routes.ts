import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { checkTags } from '../../base/resource-tags.ts'
import { schemaProblem } from '../../base/schema-problem.ts'
import { versionIn } from '../../identity/policies/policy-store.ts'
import type { PolicyStore } from '../../identity/policies/policy-store.ts'
import { defaultOf } from '../../identity/policies/policy-versions.ts'
import { pageOfNames } from '../../registry/page-of-names.ts'
import { bodyJson } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { emptyAnswer } from '../server/operation.ts'
import {
  epochSeconds,
  foundErrors,
  nextMarkerSchema,
  orderedPage,
  pageOf,
  registryErrors,
  secondsOf,
} from './registry-schemas.ts'

/** The operations on policies of the AWS IoT control plane. */
export interface PolicyRouteDependencies {
  readonly policies: PolicyStore
  /** The ARN of a resource such as `policy/p`. */
  readonly resourceArnOf: (resource: string) => string
}

const policyName = Type.String({ pattern: '^[\\w+=,.@-]{1,128}$' })
const params = Type.Object({ policyName })
const versionParams = Type.Object({
  policyName,
  policyVersionId: Type.String({ pattern: '^[0-9]+$' }),
})
const policyDocument = Type.String({ description: 'A JSON document as a text.' })
const createBody = Type.Object({
  policyDocument,
  tags: Type.Optional(
    Type.Array(Type.Object({ Key: Type.String(), Value: Type.Optional(Type.String()) })),
  ),
})
const versionBody = Type.Object({ policyDocument })
const createRequest = Compile(createBody)
const versionRequest = Compile(versionBody)
/** Leaves room for the escapes of the text in JSON. */
const bodyLimit = 262_144

const policyArn = Type.String({ description: '`arn:aws:iot:<region>:<account>:policy/<name>`' })
const named = { policyName: Type.String(), policyArn }
const dated = { creationDate: epochSeconds, lastModifiedDate: epochSeconds }
const versionId = Type.String({ description: 'A number.' })

const createPolicy = {
  params,
  operation: {
    id: 'CreatePolicy',
    summary: 'Creates a policy, a file in the folder of policies.',
    body: { schema: createBody },
    answer: {
      description: 'The policy.',
      schema: Type.Object({ ...named, policyDocument, policyVersionId: versionId }),
    },
    errors: [...registryErrors, 'MalformedPolicyException', 'ResourceAlreadyExistsException'],
  },
} satisfies FastifySchema

const getPolicy = {
  params,
  operation: {
    id: 'GetPolicy',
    summary: 'Reads the default version of a policy.',
    answer: {
      description: 'The policy.',
      schema: Type.Object({ ...named, policyDocument, defaultVersionId: versionId, ...dated }),
    },
    errors: foundErrors,
  },
} satisfies FastifySchema

const listPolicies = {
  querystring: Type.Object(orderedPage),
  operation: {
    id: 'ListPolicies',
    summary: 'Lists policies in the order of their names.',
    answer: {
      description: 'A page of policies.',
      schema: Type.Object({
        policies: Type.Array(Type.Object(named)),
        nextMarker: nextMarkerSchema,
      }),
    },
    errors: registryErrors,
  },
} satisfies FastifySchema

const deletePolicy = {
  params,
  operation: {
    id: 'DeletePolicy',
    summary: 'Deletes a policy that has one version and is attached to nothing.',
    answer: emptyAnswer,
    errors: [...foundErrors, 'DeleteConflictException'],
  },
} satisfies FastifySchema

const createPolicyVersion = {
  params,
  querystring: Type.Object({ setAsDefault: Type.Optional(Type.Boolean()) }),
  operation: {
    id: 'CreatePolicyVersion',
    summary: 'Adds a version to a policy, which has at most five.',
    body: { schema: versionBody },
    answer: {
      description: 'The version.',
      schema: Type.Object({
        policyArn,
        policyDocument,
        policyVersionId: versionId,
        isDefaultVersion: Type.Boolean(),
      }),
    },
    errors: [...foundErrors, 'MalformedPolicyException', 'VersionsLimitExceededException'],
  },
} satisfies FastifySchema

const getPolicyVersion = {
  params: versionParams,
  operation: {
    id: 'GetPolicyVersion',
    summary: 'Reads a version of a policy.',
    answer: {
      description: 'The version.',
      schema: Type.Object({
        ...named,
        policyDocument,
        policyVersionId: versionId,
        isDefaultVersion: Type.Boolean(),
        ...dated,
      }),
    },
    errors: foundErrors,
  },
} satisfies FastifySchema

const listPolicyVersions = {
  params,
  operation: {
    id: 'ListPolicyVersions',
    summary: 'Lists the versions of a policy.',
    answer: {
      description: 'All versions, the newest first.',
      schema: Type.Object({
        policyVersions: Type.Array(
          Type.Object({ versionId, isDefaultVersion: Type.Boolean(), createDate: epochSeconds }),
        ),
      }),
    },
    errors: foundErrors,
  },
} satisfies FastifySchema

const setDefaultPolicyVersion = {
  params: versionParams,
  operation: {
    id: 'SetDefaultPolicyVersion',
    summary: 'Brings a version of a policy into force.',
    answer: emptyAnswer,
    errors: foundErrors,
  },
} satisfies FastifySchema

const deletePolicyVersion = {
  params: versionParams,
  operation: {
    id: 'DeletePolicyVersion',
    summary: 'Deletes a version of a policy, other than the default.',
    answer: emptyAnswer,
    errors: [...foundErrors, 'DeleteConflictException'],
  },
} satisfies FastifySchema

export function addPolicyRoutes(
  app: HttpApp,
  { policies, resourceArnOf }: PolicyRouteDependencies,
): void {
  const namedOf = (name: string) => {
    return { policyName: name, policyArn: resourceArnOf(`policy/${name}`) }
  }

  app.post('/policies/:policyName', { schema: createPolicy, bodyLimit }, async (request) => {
    const body = bodyJson(request)
    if (!createRequest.Check(body)) throw schemaProblem(createRequest.Errors(body))
    const tags = checkTags((body.tags ?? []).map(({ Key, Value = '' }) => [Key, Value]))
    const { policyName: name } = request.params
    const made = await policies.create(name, body.policyDocument, tags)
    return {
      ...namedOf(name),
      policyDocument: body.policyDocument,
      policyVersionId: idOf(made.defaultVersionId),
    }
  })

  app.get('/policies/:policyName', { schema: getPolicy }, async (request) => {
    const { policyName: name } = request.params
    const found = await policies.get(name)
    const version = defaultOf(found)
    return {
      ...namedOf(name),
      policyDocument: version.document,
      defaultVersionId: idOf(version.versionId),
      creationDate: secondsOf(found.createdMs),
      lastModifiedDate: secondsOf(version.createdMs),
    }
  })

  app.get('/policies', { schema: listPolicies }, async (request) => {
    const isDescending = request.query.isAscendingOrder === false
    const page = pageOfNames(await policies.list(), { ...pageOf(request.query), isDescending })
    return { policies: page.names.map(namedOf), nextMarker: page.token }
  })

  app.delete('/policies/:policyName', { schema: deletePolicy }, async (request, reply) => {
    await policies.delete(request.params.policyName)
    return reply.send()
  })

  addVersionRoutes(app, { policies, resourceArnOf })
}

const idOf = (id: number) => String(id)

function addVersionRoutes(
  app: HttpApp,
  { policies, resourceArnOf }: PolicyRouteDependencies,
): void {
  app.post(
    '/policies/:policyName/version',
    { schema: createPolicyVersion, bodyLimit },
    async (request) => {
      const body = bodyJson(request)
      if (!versionRequest.Check(body)) throw schemaProblem(versionRequest.Errors(body))
      const { policyName: name } = request.params
      const { setAsDefault: isDefaultVersion = false } = request.query
      const made = await policies.createVersion(name, body.policyDocument, isDefaultVersion)
      return {
        policyArn: resourceArnOf(`policy/${name}`),
        policyDocument: made.document,
        policyVersionId: idOf(made.versionId),
        isDefaultVersion,
      }
    },
  )

  app.get('/policies/:policyName/version', { schema: listPolicyVersions }, async (request) => {
    const { versions, defaultVersionId } = await policies.get(request.params.policyName)
    return {
      policyVersions: versions.toReversed().map((each) => ({
        versionId: idOf(each.versionId),
        isDefaultVersion: each.versionId === defaultVersionId,
        createDate: secondsOf(each.createdMs),
      })),
    }
  })

  const versionPath = '/policies/:policyName/version/:policyVersionId'
  app.get(versionPath, { schema: getPolicyVersion }, async (request) => {
    const { policyName: name, policyVersionId: id } = request.params
    const found = await policies.get(name)
    const version = versionIn(found, name, id)
    return {
      policyName: name,
      policyArn: resourceArnOf(`policy/${name}`),
      policyDocument: version.document,
      policyVersionId: id,
      isDefaultVersion: version.versionId === found.defaultVersionId,
      creationDate: secondsOf(version.createdMs),
      lastModifiedDate: secondsOf(version.createdMs),
    }
  })

  app.patch(versionPath, { schema: setDefaultPolicyVersion }, async (request, reply) => {
    const { policyName: name, policyVersionId: id } = request.params
    await policies.setDefaultVersion(name, id)
    return reply.send()
  })

  app.delete(versionPath, { schema: deletePolicyVersion }, async (request, reply) => {
    const { policyName: name, policyVersionId: id } = request.params
    await policies.deleteVersion(name, id)
    return reply.send()
  })
}
