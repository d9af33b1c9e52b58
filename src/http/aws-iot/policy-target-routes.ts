import type { FastifyRequest, FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { SluiceError } from '../../base/errors.ts'
import { schemaProblem } from '../../base/schema-problem.ts'
import { policyTargetOf } from '../../identity/policies/policy-store.ts'
import type { PolicyTarget } from '../../identity/policies/policy-targets.ts'
import { pageOfNames } from '../../registry/page-of-names.ts'
import type { Registry } from '../../registry/registry.ts'
import { bodyJson } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { emptyAnswer } from '../server/operation.ts'
import type { PolicyRouteDependencies } from './policy-routes.ts'
import {
  certificateIn,
  foundErrors,
  markerPage,
  nextMarkerSchema,
  orderedPage,
  pageOf,
  policyPrincipalHeader,
  principalHeaderSchema,
  registryErrors,
} from './registry-schemas.ts'

/** The operations that attach policies; those with "Principal" in the name are the older ones. */
interface PolicyTargetDependencies extends PolicyRouteDependencies {
  readonly registry: Pick<Registry, 'certificates'>
}

const policyName = Type.String({ pattern: '^[\\w+=,.@-]{1,128}$' })
const params = Type.Object({ policyName })
const targetBody = Type.Object({
  target: Type.String({
    description: 'The ARN of a certificate; also `all`, `anonymous` or `user:<name>`.',
  }),
})
const targetRequest = Compile(targetBody)
const headers = principalHeaderSchema(policyPrincipalHeader)
const policyHeader = 'x-amzn-iot-policy'
const attachErrors = [...foundErrors, 'LimitExceededException'] as const

const policiesAnswer = {
  description: 'A page of policies.',
  schema: Type.Object({
    policies: Type.Array(Type.Object({ policyName: Type.String(), policyArn: Type.String() })),
    nextMarker: nextMarkerSchema,
  }),
}

const attachPolicy = {
  params,
  operation: {
    id: 'AttachPolicy',
    summary: 'Attaches a policy to a certificate of the registry; it is in force at once.',
    body: { schema: targetBody },
    answer: emptyAnswer,
    errors: attachErrors,
  },
} satisfies FastifySchema

const detachPolicy = {
  params,
  operation: {
    id: 'DetachPolicy',
    summary: 'Detaches a policy; one that is not attached is no error.',
    body: { schema: targetBody },
    answer: emptyAnswer,
    errors: registryErrors,
  },
} satisfies FastifySchema

const listAttachedPolicies = {
  params: Type.Object({ target: Type.String() }),
  querystring: Type.Object({ ...markerPage, recursive: Type.Optional(Type.Boolean()) }),
  operation: {
    id: 'ListAttachedPolicies',
    summary: 'Lists the policies of a certificate.',
    answer: policiesAnswer,
    errors: registryErrors,
  },
} satisfies FastifySchema

const listTargetsForPolicy = {
  params,
  querystring: Type.Object(markerPage),
  operation: {
    id: 'ListTargetsForPolicy',
    summary: 'Lists what a policy is attached to.',
    answer: {
      description: 'A page of ARNs of certificates, and other targets.',
      schema: Type.Object({ targets: Type.Array(Type.String()), nextMarker: nextMarkerSchema }),
    },
    errors: foundErrors,
  },
} satisfies FastifySchema

const attachPrincipalPolicy = {
  params,
  operation: {
    id: 'AttachPrincipalPolicy',
    summary: 'The older form of AttachPolicy.',
    headers,
    answer: emptyAnswer,
    errors: attachErrors,
  },
} satisfies FastifySchema

const detachPrincipalPolicy = {
  params,
  operation: {
    id: 'DetachPrincipalPolicy',
    summary: 'The older form of DetachPolicy.',
    headers,
    answer: emptyAnswer,
    errors: registryErrors,
  },
} satisfies FastifySchema

const listPrincipalPolicies = {
  querystring: Type.Object(orderedPage),
  operation: {
    id: 'ListPrincipalPolicies',
    summary: 'The older form of ListAttachedPolicies.',
    headers,
    answer: policiesAnswer,
    errors: registryErrors,
  },
} satisfies FastifySchema

const listPolicyPrincipals = {
  querystring: Type.Object(orderedPage),
  operation: {
    id: 'ListPolicyPrincipals',
    summary: 'The older form of ListTargetsForPolicy.',
    headers: Type.Object({ [policyHeader]: Type.String({ description: 'The name.' }) }),
    answer: {
      description: 'A page of ARNs of certificates, and other targets.',
      schema: Type.Object({ principals: Type.Array(Type.String()), nextMarker: nextMarkerSchema }),
    },
    errors: foundErrors,
  },
} satisfies FastifySchema

export function addPolicyTargetRoutes(
  app: HttpApp,
  { policies, registry, resourceArnOf }: PolicyTargetDependencies,
): void {
  const shownTarget = (target: PolicyTarget) =>
    target.startsWith(certificatePrefix)
      ? resourceArnOf(`cert/${target.slice(certificatePrefix.length)}`)
      : target

  /** Of certificates, those of the registry alone: AWS IoT knows no others. */
  async function attach(name: string, target: PolicyTarget): Promise<void> {
    const id = target.startsWith(certificatePrefix)
      ? target.slice(certificatePrefix.length)
      : undefined
    if (id !== undefined && !registry.certificates.has(id)) {
      throw new SluiceError('ResourceNotFoundException', `The certificate ${id} does not exist.`)
    }
    await policies.attach(name, target)
  }

  async function policiesOf(target: PolicyTarget, page: Parameters<typeof pageOfNames>[1]) {
    const { names, token } = pageOfNames(await policies.policiesOf(target), page)
    return {
      policies: names.map((name) => {
        return { policyName: name, policyArn: resourceArnOf(`policy/${name}`) }
      }),
      nextMarker: token,
    }
  }

  async function targetsOf(name: string, page: Parameters<typeof pageOfNames>[1]) {
    const targets = (await policies.targetsOf(name)).map(shownTarget).toSorted()
    return pageOfNames(targets, page)
  }

  app.put('/target-policies/:policyName', { schema: attachPolicy }, async (request, reply) => {
    await attach(request.params.policyName, targetIn(request))
    return reply.send()
  })

  app.post('/target-policies/:policyName', { schema: detachPolicy }, async (request, reply) => {
    await policies.detach(request.params.policyName, targetIn(request))
    return reply.send()
  })

  app.post('/attached-policies/:target', { schema: listAttachedPolicies }, async (request) =>
    policiesOf(policyTargetOf(request.params.target), pageOf(request.query)),
  )

  app.post('/policy-targets/:policyName', { schema: listTargetsForPolicy }, async (request) => {
    const page = await targetsOf(request.params.policyName, pageOf(request.query))
    return { targets: page.names, nextMarker: page.token }
  })

  const olderPath = '/principal-policies/:policyName'
  app.put(olderPath, { schema: attachPrincipalPolicy }, async (request, reply) => {
    await attach(request.params.policyName, principalIn(request))
    return reply.send()
  })

  app.delete(olderPath, { schema: detachPrincipalPolicy }, async (request, reply) => {
    await policies.detach(request.params.policyName, principalIn(request))
    return reply.send()
  })

  app.get('/principal-policies', { schema: listPrincipalPolicies }, async (request) => {
    const isDescending = request.query.isAscendingOrder === false
    return policiesOf(principalIn(request), { ...pageOf(request.query), isDescending })
  })

  app.get('/policy-principals', { schema: listPolicyPrincipals }, async (request) => {
    const isDescending = request.query.isAscendingOrder === false
    const name = String(request.headers[policyHeader] ?? '')
    const page = await targetsOf(name, { ...pageOf(request.query), isDescending })
    return { principals: page.names, nextMarker: page.token }
  })
}

const certificatePrefix = 'cert:'

/** @throws SluiceError InvalidRequestException */
function targetIn(request: FastifyRequest): PolicyTarget {
  const body = bodyJson(request)
  if (!targetRequest.Check(body)) throw schemaProblem(targetRequest.Errors(body))
  return policyTargetOf(body.target)
}

const principalIn = (request: FastifyRequest): PolicyTarget =>
  `cert:${certificateIn(request, policyPrincipalHeader)}`
