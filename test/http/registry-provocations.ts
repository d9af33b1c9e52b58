import {
  AttachPolicyCommand,
  AttachPrincipalPolicyCommand,
  AttachThingPrincipalCommand,
  CreateCertificateFromCsrCommand,
  CreateKeysAndCertificateCommand,
  CreatePolicyCommand,
  CreatePolicyVersionCommand,
  CreateThingCommand,
  DeleteCertificateCommand,
  DeletePolicyCommand,
  DeletePolicyVersionCommand,
  DeleteThingCommand,
  DescribeCertificateCommand,
  DescribeThingCommand,
  DetachPolicyCommand,
  DetachPrincipalPolicyCommand,
  DetachThingPrincipalCommand,
  GetPolicyCommand,
  GetPolicyVersionCommand,
  ListAttachedPoliciesCommand,
  ListCertificatesCommand,
  ListPoliciesCommand,
  ListPolicyPrincipalsCommand,
  ListPolicyVersionsCommand,
  ListPrincipalPoliciesCommand,
  ListPrincipalThingsCommand,
  ListPrincipalThingsV2Command,
  ListTargetsForPolicyCommand,
  ListThingPrincipalsCommand,
  ListThingPrincipalsV2Command,
  ListThingsCommand,
  RegisterCertificateWithoutCACommand,
  SetDefaultPolicyVersionCommand,
  UpdateCertificateCommand,
  UpdateThingCommand,
} from '@aws-sdk/client-iot'
import type { IoTClient } from '@aws-sdk/client-iot'
import type { StartedServer } from './http-fixtures.ts'
import { arn } from './guarded-server.ts'
import { fails, http } from './provocation.ts'
import type { Call, Provocation, Provocations } from './provocation.ts'

/** How to get the errors of the operations on things, certificates and policies. */
type Command = (iot: IoTClient) => Promise<unknown>
const send =
  (...commands: readonly Command[]): Call =>
  async ({ iot }: StartedServer) => {
    for (const command of commands) await command(iot)
  }

/** Everything of the registry fails, whatever is asked of it. */
const failing = new Proxy({}, { get: () => fails })
const faulty = () =>
  ({
    registry: { things: failing, certificates: failing },
    policies: failing,
  }) as ReturnType<NonNullable<Provocation['dependencies']>>

const isStateless = true as const
const errors = (call: Call, invalid: Call) => ({
  InvalidRequestException: { call: invalid, isStateless },
  InternalFailureException: { call, dependencies: faulty, isStateless },
})
const found = (call: Call, invalid: Call) => ({
  ...errors(call, invalid),
  ResourceNotFoundException: { call, isStateless },
})

const t = { thingName: 't' }
const p = { policyName: 'p' }
const certificateId = '0'.repeat(64)
const principal = arn(`cert/${certificateId}`)
const policyDocument = JSON.stringify({
  Version: '2012-10-17',
  Statement: { Effect: 'Allow', Action: 'iot:*', Resource: '*' },
})

const createNamed =
  (name: string): Command =>
  (iot) =>
    iot.send(new CreateThingCommand({ ...t, attributePayload: { attributes: { name } } }))
const createThing = createNamed('a')
const createPolicy: Command = (iot) => iot.send(new CreatePolicyCommand({ ...p, policyDocument }))
const createVersion: Command = (iot) =>
  iot.send(new CreatePolicyVersionCommand({ ...p, policyDocument }))
const certificate =
  (act: (id: string, iot: IoTClient) => Promise<unknown>): Call =>
  async ({ iot }) => {
    const input = { setAsActive: true }
    const made = await iot.send(new CreateKeysAndCertificateCommand(input))
    await act(made.certificateId ?? '', iot)
  }
const thingPage =
  (maxResults: number): Command =>
  (iot) =>
    iot.send(new ListThingPrincipalsCommand({ ...t, maxResults }))
const thingPageV2 =
  (maxResults: number): Command =>
  (iot) =>
    iot.send(new ListThingPrincipalsV2Command({ ...t, maxResults }))
const version = { ...p, policyVersionId: '1' }
const badVersion = http('GET', '/policies/p/version/x')

const things: Provocations = {
  CreateThing: {
    ...errors(send(createThing), http('POST', '/things/a%20b')),
    ResourceAlreadyExistsException: { call: send(createThing, createNamed('b')) },
  },
  DescribeThing: found(
    send((iot) => iot.send(new DescribeThingCommand(t))),
    http('GET', '/things/a%20b'),
  ),
  UpdateThing: {
    ...found(
      send((iot) => iot.send(new UpdateThingCommand(t))),
      http('PATCH', '/things/t', { expectedVersion: 'x' }),
    ),
    VersionConflictException: {
      call: send(createThing, (iot) =>
        iot.send(new UpdateThingCommand({ ...t, expectedVersion: 2 })),
      ),
    },
  },
  DeleteThing: {
    ...errors(
      send((iot) => iot.send(new DeleteThingCommand(t))),
      http('DELETE', '/things/a%20b'),
    ),
    VersionConflictException: {
      call: send(createThing, (iot) =>
        iot.send(new DeleteThingCommand({ ...t, expectedVersion: 2 })),
      ),
    },
  },
  ListThings: errors(
    send((iot) => iot.send(new ListThingsCommand({}))),
    send((iot) => iot.send(new ListThingsCommand({ maxResults: 251 }))),
  ),
  AttachThingPrincipal: found(
    send((iot) => iot.send(new AttachThingPrincipalCommand({ ...t, principal }))),
    http('PUT', '/things/t/principals'),
  ),
  DetachThingPrincipal: found(
    send((iot) => iot.send(new DetachThingPrincipalCommand({ ...t, principal }))),
    http('DELETE', '/things/t/principals'),
  ),
  ListThingPrincipals: found(send(thingPage(1)), send(thingPage(0))),
  ListThingPrincipalsV2: found(send(thingPageV2(1)), send(thingPageV2(0))),
  ListPrincipalThings: errors(
    send((iot) => iot.send(new ListPrincipalThingsCommand({ principal }))),
    http('GET', '/principals/things'),
  ),
  ListPrincipalThingsV2: errors(
    send((iot) => iot.send(new ListPrincipalThingsV2Command({ principal }))),
    http('GET', '/principals/things-v2'),
  ),
}

const update = (newStatus: 'ACTIVE' | 'PENDING_TRANSFER', id = certificateId) =>
  new UpdateCertificateCommand({ certificateId: id, newStatus })
const register = (certificatePem: string, status?: 'REVOKED') =>
  new RegisterCertificateWithoutCACommand({ certificatePem, ...(status && { status }) })

const certificates: Provocations = {
  CreateKeysAndCertificate: errors(
    send((iot) => iot.send(new CreateKeysAndCertificateCommand({}))),
    http('POST', '/keys-and-certificate?setAsActive=perhaps'),
  ),
  CreateCertificateFromCsr: errors(
    send((iot) =>
      iot.send(new CreateCertificateFromCsrCommand({ certificateSigningRequest: 'x' })),
    ),
    send((iot) =>
      iot.send(new CreateCertificateFromCsrCommand({ certificateSigningRequest: 'x' })),
    ),
  ),
  RegisterCertificateWithoutCA: {
    ...errors(
      send((iot) => iot.send(register('x'))),
      http('POST', '/certificate/register-no-ca', {}),
    ),
    CertificateValidationException: { call: send((iot) => iot.send(register('x'))) },
    ResourceAlreadyExistsException: {
      call: async ({ iot }) => {
        const { certificatePem = '' } = await iot.send(new CreateKeysAndCertificateCommand({}))
        await iot.send(register(certificatePem))
      },
    },
    CertificateStateException: {
      call: certificate(async (id, iot) => {
        const input = { certificateId: id, newStatus: 'INACTIVE' } as const
        const described = await iot.send(new DescribeCertificateCommand(input))
        await iot.send(new UpdateCertificateCommand(input))
        await iot.send(new DeleteCertificateCommand(input))
        const { certificatePem = '' } = described.certificateDescription ?? {}
        await iot.send(register(certificatePem, 'REVOKED'))
      }),
    },
  },
  DescribeCertificate: found(
    send((iot) => iot.send(new DescribeCertificateCommand({ certificateId }))),
    http('GET', '/certificates/x'),
  ),
  ListCertificates: errors(
    send((iot) => iot.send(new ListCertificatesCommand({}))),
    send((iot) => iot.send(new ListCertificatesCommand({ marker: 'eA==' }))),
  ),
  UpdateCertificate: found(
    send((iot) => iot.send(update('ACTIVE'))),
    certificate((id, iot) => iot.send(update('PENDING_TRANSFER', id))),
  ),
  DeleteCertificate: {
    ...found(
      send((iot) => iot.send(new DeleteCertificateCommand({ certificateId }))),
      http('DELETE', '/certificates/x'),
    ),
    CertificateStateException: {
      call: certificate((id, iot) =>
        iot.send(new DeleteCertificateCommand({ certificateId: id, forceDelete: true })),
      ),
    },
    DeleteConflictException: {
      call: certificate(async (id, iot) => {
        const input = { certificateId: id, newStatus: 'INACTIVE' } as const
        await createThing(iot)
        await iot.send(new AttachThingPrincipalCommand({ ...t, principal: arn(`cert/${id}`) }))
        await iot.send(new UpdateCertificateCommand(input))
        await iot.send(new DeleteCertificateCommand(input))
      }),
    },
  },
}

const attach = new AttachPolicyCommand({ ...p, target: principal })
const attachOlder = new AttachPrincipalPolicyCommand({ ...p, principal })
/** A certificate has ten policies, and gets one more. */
const eleven = (
  attachTo: (iot: IoTClient, policyName: string, target: string) => Promise<unknown>,
): Call =>
  certificate(async (id, iot) => {
    for (let count = 0; count <= 10; count++) {
      const policyName = `p${count}`
      await iot.send(new CreatePolicyCommand({ policyName, policyDocument }))
      await attachTo(iot, policyName, arn(`cert/${id}`))
    }
  })

const policies: Provocations = {
  CreatePolicy: {
    ...errors(send(createPolicy), http('POST', '/policies/a%20b', {})),
    MalformedPolicyException: {
      call: send((iot) => iot.send(new CreatePolicyCommand({ ...p, policyDocument: '{}' }))),
    },
    ResourceAlreadyExistsException: { call: send(createPolicy, createPolicy) },
  },
  GetPolicy: found(
    send((iot) => iot.send(new GetPolicyCommand(p))),
    http('GET', '/policies/a%20b'),
  ),
  ListPolicies: errors(
    send((iot) => iot.send(new ListPoliciesCommand({}))),
    send((iot) => iot.send(new ListPoliciesCommand({ pageSize: 0 }))),
  ),
  DeletePolicy: {
    ...found(
      send((iot) => iot.send(new DeletePolicyCommand(p))),
      http('DELETE', '/policies/a%20b'),
    ),
    DeleteConflictException: {
      call: send(createPolicy, createVersion, (iot) => iot.send(new DeletePolicyCommand(p))),
    },
  },
  CreatePolicyVersion: {
    ...found(send(createVersion), http('POST', '/policies/p/version', {})),
    MalformedPolicyException: {
      call: send(createPolicy, (iot) =>
        iot.send(new CreatePolicyVersionCommand({ ...p, policyDocument: '{}' })),
      ),
    },
    VersionsLimitExceededException: {
      call: send(createPolicy, ...Array.from({ length: 5 }, () => createVersion)),
    },
  },
  GetPolicyVersion: found(
    send((iot) => iot.send(new GetPolicyVersionCommand(version))),
    badVersion,
  ),
  ListPolicyVersions: found(
    send((iot) => iot.send(new ListPolicyVersionsCommand(p))),
    http('GET', '/policies/a%20b/version'),
  ),
  SetDefaultPolicyVersion: found(
    send((iot) => iot.send(new SetDefaultPolicyVersionCommand(version))),
    http('PATCH', '/policies/p/version/x'),
  ),
  DeletePolicyVersion: {
    ...found(
      send((iot) => iot.send(new DeletePolicyVersionCommand(version))),
      http('DELETE', '/policies/p/version/x'),
    ),
    DeleteConflictException: {
      call: send(createPolicy, (iot) => iot.send(new DeletePolicyVersionCommand(version))),
    },
  },
  AttachPolicy: {
    ...found(
      send((iot) => iot.send(attach)),
      http('PUT', '/target-policies/p', { target: 'x' }),
    ),
    LimitExceededException: {
      call: eleven((iot, policyName, target) =>
        iot.send(new AttachPolicyCommand({ policyName, target })),
      ),
    },
  },
  DetachPolicy: errors(
    send((iot) => iot.send(new DetachPolicyCommand({ ...p, target: principal }))),
    http('POST', '/target-policies/p', { target: 'x' }),
  ),
  ListAttachedPolicies: errors(
    send((iot) => iot.send(new ListAttachedPoliciesCommand({ target: principal }))),
    send((iot) => iot.send(new ListAttachedPoliciesCommand({ target: 'x' }))),
  ),
  ListTargetsForPolicy: found(
    send((iot) => iot.send(new ListTargetsForPolicyCommand(p))),
    http('POST', '/policy-targets/a%20b'),
  ),
  AttachPrincipalPolicy: {
    ...found(
      send((iot) => iot.send(attachOlder)),
      http('PUT', '/principal-policies/p'),
    ),
    LimitExceededException: {
      call: eleven((iot, policyName, target) =>
        iot.send(new AttachPrincipalPolicyCommand({ policyName, principal: target })),
      ),
    },
  },
  DetachPrincipalPolicy: errors(
    send((iot) => iot.send(new DetachPrincipalPolicyCommand({ ...p, principal }))),
    http('DELETE', '/principal-policies/p'),
  ),
  ListPrincipalPolicies: errors(
    send((iot) => iot.send(new ListPrincipalPoliciesCommand({ principal }))),
    http('GET', '/principal-policies'),
  ),
  ListPolicyPrincipals: found(
    send((iot) => iot.send(new ListPolicyPrincipalsCommand(p))),
    http('GET', '/policy-principals?pageSize=0'),
  ),
}

export const registryProvocations: Provocations = { ...things, ...certificates, ...policies }
