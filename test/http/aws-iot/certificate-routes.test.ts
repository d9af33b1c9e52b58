import { X509Certificate, createPrivateKey, createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import {
  AttachPolicyCommand,
  AttachThingPrincipalCommand,
  CreateCertificateFromCsrCommand,
  CreateKeysAndCertificateCommand,
  CreatePolicyCommand,
  CreateThingCommand,
  DeleteCertificateCommand,
  DescribeCertificateCommand,
  DetachThingPrincipalCommand,
  ListAttachedPoliciesCommand,
  ListCertificatesCommand,
  RegisterCertificateWithoutCACommand,
  UpdateCertificateCommand,
} from '@aws-sdk/client-iot'
import type { CertificateStatus } from '@aws-sdk/client-iot'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { makeCertificateFolder } from '../../../src/identity/certificates/certificate-folder.ts'
import { principalOf } from '../../../src/identity/policies/principal.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { temporaryDirectory } from '../../outbox/outbox-parts.ts'
import { openTestRegistry } from '../../registry/registry-fixtures.ts'
import { arn } from '../guarded-server.ts'
import { startServer } from '../http-fixtures.ts'

const document = JSON.stringify({
  Version: '2012-10-17',
  Statement: { Effect: 'Allow', Action: 'iot:*', Resource: '*' },
})

async function start({ hasAuthority = true } = {}) {
  const logger = createMemoryLogger(() => undefined)
  const deactivated: string[] = []
  const folder = temporaryDirectory()
  const opened = await openTestRegistry({ clock: systemClock, logger }, folder, {
    hasAuthority,
    onDeactivated: (id) => deactivated.push(id),
  })
  const server = await startServer({ dependencies: opened })
  const { iot } = server
  const authority = () => new X509Certificate(readFileSync(path.join(folder, 'certs', 'ca.pem')))
  return {
    ...opened,
    iot,
    folder,
    deactivated,
    authority,
    create: (setAsActive = true) => iot.send(new CreateKeysAndCertificateCommand({ setAsActive })),
    update: (certificateId: string, newStatus: CertificateStatus) =>
      iot.send(new UpdateCertificateCommand({ certificateId, newStatus })),
    remove: (certificateId: string, forceDelete = false) =>
      iot.send(new DeleteCertificateCommand({ certificateId, forceDelete })),
  }
}

describe('a certificate', () => {
  test('is made with keys of which the private one is kept nowhere', async () => {
    const { iot, create, authority, folder } = await start()
    const { certificateId = '', certificatePem = '', keyPair, certificateArn } = await create()
    const certificate = new X509Certificate(certificatePem)
    expect(certificate.verify(authority().publicKey)).toBe(true)
    const privateKey = createPrivateKey(keyPair?.PrivateKey ?? '')
    expect(certificate.checkPrivateKey(privateKey)).toBe(true)
    expect(createPublicKey(keyPair?.PublicKey ?? '').equals(createPublicKey(privateKey))).toBe(true)
    expect(certificateId).toBe(principalOf(certificatePem))
    expect(certificateArn).toBe(arn(`cert/${certificateId}`))
    const described = await iot.send(new DescribeCertificateCommand({ certificateId }))
    expect(described.certificateDescription).toMatchObject({
      certificateArn,
      certificatePem,
      status: 'ACTIVE',
      ownedBy: '123456789012',
      validity: { notAfter: new Date(certificate.validTo) },
    })
    const file = path.join(folder, 'registry', 'certificates', `${certificateId}.json`)
    expect(readFileSync(file, 'utf8')).not.toContain('PRIVATE')
  })

  test('is signed for the key of a request', async () => {
    const { iot, create, authority } = await start()
    await create()
    const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-384' }, true, [
      'sign',
      'verify',
    ])
    const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-384' }
    await import('reflect-metadata')
    const { Pkcs10CertificateRequestGenerator } = await import('@peculiar/x509')
    const request = await Pkcs10CertificateRequestGenerator.create({
      name: 'CN=own-name',
      keys,
      signingAlgorithm,
    })
    const certificateSigningRequest = request.toString('pem')
    const { certificatePem = '' } = await iot.send(
      new CreateCertificateFromCsrCommand({ certificateSigningRequest }),
    )
    const certificate = new X509Certificate(certificatePem)
    expect(certificate.subject).toBe('CN=own-name')
    expect(certificate.verify(authority().publicKey)).toBe(true)
    const spki = Buffer.from(await crypto.subtle.exportKey('spki', keys.publicKey))
    expect(certificate.publicKey.export({ type: 'spki', format: 'der' }).equals(spki)).toBe(true)
    const list = await iot.send(new ListCertificatesCommand({ pageSize: 1 }))
    const marker = list.nextMarker ?? ''
    const next = await iot.send(new ListCertificatesCommand({ pageSize: 1, marker }))
    const listed = [...(list.certificates ?? []), ...(next.certificates ?? [])]
    expect(new Set(listed.map(({ status }) => status))).toEqual(new Set(['ACTIVE', 'INACTIVE']))
    expect(next.nextMarker).toBeUndefined()
  })

  test('is deactivated, and deleted once nothing is attached', async () => {
    const { iot, registry, create, update, remove, deactivated } = await start()
    const { certificateId = '', certificateArn: principal = '' } = await create()
    await iot.send(new CreatePolicyCommand({ policyName: 'p', policyDocument: document }))
    await iot.send(new CreateThingCommand({ thingName: 't' }))
    await iot.send(new AttachThingPrincipalCommand({ thingName: 't', principal }))
    await iot.send(new AttachPolicyCommand({ policyName: 'p', target: principal }))
    await expect(remove(certificateId)).rejects.toMatchObject({ name: 'CertificateStateException' })
    expect(deactivated).toEqual([])
    await update(certificateId, 'INACTIVE')
    expect(deactivated).toEqual([certificateId])
    await expect(remove(certificateId, true)).rejects.toMatchObject({
      name: 'DeleteConflictException',
    })
    await iot.send(new DetachThingPrincipalCommand({ thingName: 't', principal }))
    await expect(remove(certificateId)).rejects.toMatchObject({ name: 'DeleteConflictException' })
    await remove(certificateId, true)
    const attached = await iot.send(new ListAttachedPoliciesCommand({ target: principal }))
    expect(attached.policies).toEqual([])
    await expect(update(certificateId, 'ACTIVE')).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    })
    // Its CA would still vouch for it.
    expect(registry.certificates.statusOf(certificateId)).toBe('DELETED')
  })

  test('is registered when a CA of clients issued it', async () => {
    const { iot, authorityDir } = await start()
    const register = (certificatePem: string, status?: CertificateStatus) =>
      iot.send(
        new RegisterCertificateWithoutCACommand({ certificatePem, ...(status && { status }) }),
      )
    const own = await makeDevice(authorityDir)
    const invalid = { name: 'CertificateValidationException' }
    await expect(register('none')).rejects.toMatchObject(invalid)
    await expect(register(await makeDevice(temporaryDirectory()))).rejects.toMatchObject(invalid)
    await expect(register(own, 'REVOKED')).rejects.toMatchObject({
      name: 'CertificateStateException',
    })
    const { certificateId = '' } = await register(own, 'ACTIVE')
    expect(certificateId).toBe(principalOf(own))
    await expect(register(own)).rejects.toMatchObject({
      name: 'ResourceAlreadyExistsException',
      resourceId: certificateId,
    })
  })

  test('is not issued without the key of a CA', async () => {
    const { create } = await start({ hasAuthority: false })
    await expect(create()).rejects.toMatchObject({
      name: 'InvalidRequestException',
      message: expect.stringContaining('SLUICE_TLS_CA_KEY_FILE') as string,
    })
  })
})

async function makeDevice(directory: string): Promise<string> {
  const options = { directory, devices: ['d'], hosts: [], force: false, nowMs: Date.now() }
  const made = await makeCertificateFolder(options)
  return readFileSync(made.devices[0]?.certificateFile ?? '', 'utf8')
}

test('what the registry holds is there after a restart', async () => {
  const { iot, folder, create, update, remove } = await start()
  const { certificateId = '', certificateArn: principal = '' } = await create()
  const { certificateId: other = '' } = await create(false)
  await remove(other)
  await iot.send(new CreateThingCommand({ thingName: 'a:b' }))
  await iot.send(new CreateThingCommand({ thingName: 'A:B' }))
  await iot.send(new AttachThingPrincipalCommand({ thingName: 'a:b', principal }))
  await update(certificateId, 'REVOKED')
  const logger = createMemoryLogger(() => undefined)
  const { registry } = await openTestRegistry({ clock: systemClock, logger }, folder)
  expect(registry.things.thingsOf(certificateId)).toEqual(['a:b'])
  expect(registry.things.find('A:B')?.principals).toEqual({})
  expect(registry.certificates.statusOf(certificateId)).toBe('REVOKED')
  expect(registry.certificates.statusOf(other)).toBe('DELETED')
})
