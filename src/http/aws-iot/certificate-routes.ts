import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { schemaProblem } from '../../base/schema-problem.ts'
import type { RegisteredCertificate } from '../../registry/certificates.ts'
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
import type { ThingRouteDependencies } from './thing-routes.ts'

/** The operations on certificates of the AWS IoT control plane. */
const params = Type.Object({
  certificateId: Type.String({ pattern: '^[a-fA-F0-9]{64}$' }),
})
const setAsActive = Type.Object({ setAsActive: Type.Optional(Type.Boolean()) })
const csrBody = Type.Object({
  certificateSigningRequest: Type.String({ minLength: 1, maxLength: 4_096 }),
})
const registerBody = Type.Object({
  certificatePem: Type.String({ minLength: 1 }),
  status: Type.Optional(Type.String({ description: '`ACTIVE` or `INACTIVE`.' })),
})
const csrRequest = Compile(csrBody)
const registerRequest = Compile(registerBody)

const identity = { certificateArn: Type.String(), certificateId: Type.String() }
const issued = { ...identity, certificatePem: Type.String() }
const listed = {
  ...identity,
  status: Type.String({ description: '`ACTIVE`, `INACTIVE` or `REVOKED`.' }),
  certificateMode: Type.Literal('DEFAULT'),
  creationDate: epochSeconds,
}

const createKeysAndCertificate = {
  querystring: setAsActive,
  operation: {
    id: 'CreateKeysAndCertificate',
    summary: 'Makes a key and a certificate for it.',
    description:
      'The private key is in this answer and is kept nowhere. In `sluice start` this needs ' +
      '`SLUICE_TLS_CA_KEY_FILE`.',
    answer: {
      description: 'The certificate and its keys.',
      schema: Type.Object({
        ...issued,
        keyPair: Type.Object({
          PublicKey: Type.String(),
          PrivateKey: Type.String({ description: 'PEM, PKCS #1.' }),
        }),
      }),
    },
    errors: registryErrors,
  },
} satisfies FastifySchema

const createCertificateFromCsr = {
  querystring: setAsActive,
  operation: {
    id: 'CreateCertificateFromCsr',
    summary: 'Signs a certificate for a key that stays with the caller.',
    body: { schema: csrBody },
    answer: { description: 'The certificate.', schema: Type.Object(issued) },
    errors: registryErrors,
  },
} satisfies FastifySchema

const registerCertificateWithoutCA = {
  operation: {
    id: 'RegisterCertificateWithoutCA',
    summary: 'Adds a certificate that was issued elsewhere to the registry.',
    description: 'A CA of `SLUICE_TLS_CA_FILE` must have issued it, because TLS takes no other.',
    body: { schema: registerBody },
    answer: { description: 'The certificate.', schema: Type.Object(identity) },
    errors: [
      ...registryErrors,
      'ResourceAlreadyExistsException',
      'CertificateStateException',
      'CertificateValidationException',
    ],
  },
} satisfies FastifySchema

const describeCertificate = {
  params,
  operation: {
    id: 'DescribeCertificate',
    summary: 'Reads a certificate.',
    answer: {
      description: 'The certificate.',
      schema: Type.Object({
        certificateDescription: Type.Object({
          ...listed,
          certificatePem: Type.String(),
          ownedBy: Type.String({ description: 'The account.' }),
          lastModifiedDate: epochSeconds,
          customerVersion: Type.Integer(),
          validity: Type.Object({ notBefore: epochSeconds, notAfter: epochSeconds }),
        }),
      }),
    },
    errors: foundErrors,
  },
} satisfies FastifySchema

const listCertificates = {
  querystring: Type.Object(orderedPage),
  operation: {
    id: 'ListCertificates',
    summary: 'Lists certificates in the order of their creation.',
    answer: {
      description: 'A page of certificates.',
      schema: Type.Object({
        certificates: Type.Array(Type.Object(listed)),
        nextMarker: nextMarkerSchema,
      }),
    },
    errors: registryErrors,
  },
} satisfies FastifySchema

const updateCertificate = {
  params,
  querystring: Type.Object({
    newStatus: Type.String({ description: '`ACTIVE`, `INACTIVE` or `REVOKED`.' }),
  }),
  operation: {
    id: 'UpdateCertificate',
    summary: 'Changes the status of a certificate.',
    description: 'The connections of a certificate that is not active any more are ended.',
    answer: emptyAnswer,
    errors: foundErrors,
  },
} satisfies FastifySchema

const deleteCertificate = {
  params,
  querystring: Type.Object({ forceDelete: Type.Optional(Type.Boolean()) }),
  operation: {
    id: 'DeleteCertificate',
    summary: 'Deletes a certificate that is not active and attached to nothing.',
    description:
      'With `forceDelete` policies are detached. A deleted certificate is not let in again, unless ' +
      'it is registered anew.',
    answer: emptyAnswer,
    errors: [...foundErrors, 'CertificateStateException', 'DeleteConflictException'],
  },
} satisfies FastifySchema

export function addCertificateRoutes(
  app: HttpApp,
  { registry, resourceArnOf }: ThingRouteDependencies,
): void {
  const identityOf = ({ certificateId }: RegisteredCertificate) => {
    return { certificateArn: resourceArnOf(`cert/${certificateId}`), certificateId }
  }
  const issuedOf = (record: RegisteredCertificate) => {
    return { ...identityOf(record), certificatePem: record.certificatePem }
  }
  const listedOf = (record: RegisteredCertificate) => {
    const { status, createdMs } = record
    const creationDate = secondsOf(createdMs)
    return { ...identityOf(record), status, certificateMode: 'DEFAULT', creationDate }
  }

  app.post('/keys-and-certificate', { schema: createKeysAndCertificate }, async (request) => {
    const { setAsActive: isActive = false } = request.query
    const { privateKeyPem, publicKeyPem, ...record } =
      await registry.certificates.createWithKeys(isActive)
    const keyPair = { PublicKey: publicKeyPem, PrivateKey: privateKeyPem }
    return { ...issuedOf(record), keyPair }
  })

  app.post('/certificates', { schema: createCertificateFromCsr }, async (request) => {
    const body = bodyJson(request)
    if (!csrRequest.Check(body)) throw schemaProblem(csrRequest.Errors(body))
    const { setAsActive: isActive = false } = request.query
    const signed = await registry.certificates.createFromRequest(
      body.certificateSigningRequest,
      isActive,
    )
    return issuedOf(signed)
  })

  app.post(
    '/certificate/register-no-ca',
    { schema: registerCertificateWithoutCA },
    async (request) => {
      const body = bodyJson(request)
      if (!registerRequest.Check(body)) throw schemaProblem(registerRequest.Errors(body))
      return identityOf(await registry.certificates.register(body.certificatePem, body.status))
    },
  )

  app.get('/certificates/:certificateId', { schema: describeCertificate }, async (request) => {
    const record = registry.certificates.get(request.params.certificateId)
    const arn = resourceArnOf('')
    return {
      certificateDescription: {
        ...listedOf(record),
        certificatePem: record.certificatePem,
        ownedBy: arn.split(':')[accountField],
        lastModifiedDate: secondsOf(record.updatedMs),
        customerVersion: record.version,
        validity: {
          notBefore: secondsOf(record.validFromMs),
          notAfter: secondsOf(record.validToMs),
        },
      },
    }
  })

  app.get('/certificates', { schema: listCertificates }, async (request) => {
    const isDescending = request.query.isAscendingOrder === false
    const page = registry.certificates.list({ ...pageOf(request.query), isDescending })
    return { certificates: page.certificates.map(listedOf), nextMarker: page.token }
  })

  addCertificateChanges(app, registry)
}

function addCertificateChanges(app: HttpApp, registry: ThingRouteDependencies['registry']): void {
  app.put('/certificates/:certificateId', { schema: updateCertificate }, async (request, reply) => {
    await registry.certificates.setStatus(request.params.certificateId, request.query.newStatus)
    return reply.send()
  })

  app.delete(
    '/certificates/:certificateId',
    { schema: deleteCertificate },
    async (request, reply) => {
      const { forceDelete = false } = request.query
      await registry.certificates.delete(request.params.certificateId, forceDelete)
      return reply.send()
    },
  )
}

/** Of an ARN. */
const accountField = 4
