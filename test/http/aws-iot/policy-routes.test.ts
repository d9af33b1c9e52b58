import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import {
  AttachPolicyCommand,
  AttachPrincipalPolicyCommand,
  CreateKeysAndCertificateCommand,
  CreatePolicyCommand,
  CreatePolicyVersionCommand,
  DeletePolicyCommand,
  DeletePolicyVersionCommand,
  DetachPolicyCommand,
  DetachPrincipalPolicyCommand,
  GetPolicyCommand,
  GetPolicyVersionCommand,
  ListAttachedPoliciesCommand,
  ListPoliciesCommand,
  ListPolicyPrincipalsCommand,
  ListPolicyVersionsCommand,
  ListPrincipalPoliciesCommand,
  ListTagsForResourceCommand,
  ListTargetsForPolicyCommand,
  SetDefaultPolicyVersionCommand,
  TagResourceCommand,
  UntagResourceCommand,
} from '@aws-sdk/client-iot'
import { expect, test } from 'vitest'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { temporaryDirectory } from '../../outbox/outbox-parts.ts'
import { openTestRegistry } from '../../registry/registry-fixtures.ts'
import { arn } from '../guarded-server.ts'
import { startServer } from '../http-fixtures.ts'

const documentOf = (action: string) =>
  // The text is kept as it is, so blanks are part of it.
  JSON.stringify(
    { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: action, Resource: '*' }] },
    null,
    1,
  )

async function start() {
  let reloads = 0
  const logger = createMemoryLogger(() => undefined)
  const opened = await openTestRegistry({ clock: systemClock, logger }, temporaryDirectory(), {
    reload: async () => void reloads++,
  })
  const { iot } = await startServer({ dependencies: opened })
  return {
    ...opened,
    iot,
    reloads: () => reloads,
    create: (policyName: string, policyDocument = documentOf('iot:*')) =>
      iot.send(new CreatePolicyCommand({ policyName, policyDocument })),
    get: (policyName: string) => iot.send(new GetPolicyCommand({ policyName })),
    remove: (policyName: string) => iot.send(new DeletePolicyCommand({ policyName })),
  }
}

test('a policy is the file in force, with at most five versions', async () => {
  const { iot, create, get, remove, policiesDir, reloads } = await start()
  const first = documentOf('iot:Connect')
  expect(await create('p', first)).toMatchObject({
    policyName: 'p',
    policyArn: arn('policy/p'),
    policyDocument: first,
    policyVersionId: '1',
  })
  expect(reloads()).toBe(1)
  const file = path.join(policiesDir, 'p.json')
  expect(readFileSync(file, 'utf8')).toBe(first)
  await expect(create('p')).rejects.toMatchObject({
    name: 'ResourceAlreadyExistsException',
    resourceArn: arn('policy/p'),
  })
  const add = (action: string, setAsDefault = false) =>
    iot.send(
      new CreatePolicyVersionCommand({
        policyName: 'p',
        policyDocument: documentOf(action),
        setAsDefault,
      }),
    )
  expect((await add('iot:Publish', true)).policyVersionId).toBe('2')
  expect(readFileSync(file, 'utf8')).toBe(documentOf('iot:Publish'))
  for (const action of ['iot:a', 'iot:b', 'iot:c']) await add(action)
  await expect(add('iot:d')).rejects.toMatchObject({ name: 'VersionsLimitExceededException' })
  const version = { policyName: 'p', policyVersionId: '1' }
  await iot.send(new SetDefaultPolicyVersionCommand(version))
  expect(await get('p')).toMatchObject({ policyDocument: first, defaultVersionId: '1' })
  await expect(iot.send(new DeletePolicyVersionCommand(version))).rejects.toMatchObject({
    name: 'DeleteConflictException',
  })
  await expect(remove('p')).rejects.toMatchObject({ name: 'DeleteConflictException' })
  for (const policyVersionId of ['2', '3', '4', '5']) {
    await iot.send(new DeletePolicyVersionCommand({ policyName: 'p', policyVersionId }))
  }
  await expect(
    iot.send(new GetPolicyVersionCommand({ policyName: 'p', policyVersionId: '5' })),
  ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  // An id is not given twice.
  expect((await add('iot:e', true)).policyVersionId).toBe('6')
  const { policyVersions } = await iot.send(new ListPolicyVersionsCommand({ policyName: 'p' }))
  expect(policyVersions?.map((each) => [each.versionId, each.isDefaultVersion])).toEqual([
    ['6', true],
    ['1', false],
  ])
  await iot.send(new DeletePolicyVersionCommand(version))
  await remove('p')
  await expect(get('p')).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
})

test('a policy that was written by hand is one, and what is written over it is the default', async () => {
  const { iot, create, get, policiesDir } = await start()
  await create('other')
  writeFileSync(path.join(policiesDir, 'hand.json'), documentOf('iot:Connect'))
  expect(await get('hand')).toMatchObject({
    policyDocument: documentOf('iot:Connect'),
    defaultVersionId: '1',
  })
  writeFileSync(path.join(policiesDir, 'other.json'), documentOf('iot:Publish'))
  const policyVersionId = '1'
  const version = new GetPolicyVersionCommand({ policyName: 'other', policyVersionId })
  expect((await iot.send(version)).policyDocument).toBe(documentOf('iot:Publish'))
  const page = await iot.send(new ListPoliciesCommand({ pageSize: 1 }))
  expect(page.policies?.map(({ policyName }) => policyName)).toEqual(['hand'])
  const marker = page.nextMarker ?? ''
  const next = await iot.send(new ListPoliciesCommand({ pageSize: 1, marker }))
  expect(next).toMatchObject({
    policies: [{ policyName: 'other', policyArn: arn('policy/other') }],
  })
})

test.each([
  ['no JSON', '{'],
  ['an unknown member', '{"Version":"2012-10-17","Statement":[],"x":1}'],
  ['a condition that is not evaluated', documentWithCondition('IpAddress', 'aws:SourceIp')],
])('a document is refused that has %s', async (_, document) => {
  const { create } = await start()
  await create('ok', documentWithCondition('Bool', 'iot:Connection.Thing.IsAttached'))
  await expect(create('p', document)).rejects.toMatchObject({ name: 'MalformedPolicyException' })
})

function documentWithCondition(operator: string, key: string): string {
  const statement = { Effect: 'Allow', Action: 'iot:*', Resource: '*' }
  const Condition = { [operator]: { [key]: ['true'] } }
  return JSON.stringify({ Version: '2012-10-17', Statement: [{ ...statement, Condition }] })
}

test('policies are attached to certificates, by the new and the older operations', async () => {
  const { iot, create, remove } = await start()
  await create('p')
  const { certificateArn: target = '' } = await iot.send(new CreateKeysAndCertificateCommand({}))
  const attach = (policyName: string, to = target) =>
    iot.send(new AttachPolicyCommand({ policyName, target: to }))
  const policiesOf = async () =>
    (await iot.send(new ListAttachedPoliciesCommand({ target }))).policies
  await attach('p')
  await attach('p')
  expect(await policiesOf()).toEqual([{ policyName: 'p', policyArn: arn('policy/p') }])
  const targets = await iot.send(new ListTargetsForPolicyCommand({ policyName: 'p' }))
  expect(targets.targets).toEqual([target])
  await expect(remove('p')).rejects.toMatchObject({ name: 'DeleteConflictException' })
  await expect(attach('absent')).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
  await expect(attach('p', arn(`cert/${'0'.repeat(64)}`))).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
  })
  await expect(attach('p', arn('thinggroup/g'))).rejects.toMatchObject({
    name: 'InvalidRequestException',
  })
  await iot.send(new DetachPolicyCommand({ policyName: 'p', target }))
  expect(await policiesOf()).toEqual([])

  const older = { policyName: 'p', principal: target }
  await iot.send(new AttachPrincipalPolicyCommand(older))
  expect((await iot.send(new ListPrincipalPoliciesCommand(older))).policies).toHaveLength(1)
  expect((await iot.send(new ListPolicyPrincipalsCommand(older))).principals).toEqual([target])
  await iot.send(new DetachPrincipalPolicyCommand(older))
  await iot.send(new DetachPrincipalPolicyCommand(older))
})

test('policies have tags', async () => {
  const { iot } = await start()
  const tags = [{ Key: 'a', Value: '1' }]
  const policyDocument = documentOf('iot:*')
  await iot.send(new CreatePolicyCommand({ policyName: 'p', policyDocument, tags }))
  const resourceArn = arn('policy/p')
  await iot.send(new TagResourceCommand({ resourceArn, tags: [{ Key: 'b', Value: '2' }] }))
  await iot.send(new UntagResourceCommand({ resourceArn, tagKeys: ['a'] }))
  const listed = await iot.send(new ListTagsForResourceCommand({ resourceArn }))
  expect(listed.tags).toEqual([{ Key: 'b', Value: '2' }])
})
