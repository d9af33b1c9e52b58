import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openMqttAccess } from '../../src/identity/mqtt-access.ts'
import type { RegisteredClients } from '../../src/identity/mqtt-access.ts'
import type { Permissions } from '../../src/identity/policies/access.ts'
import { createWatchedLog, temporaryFolder } from './identity-fixtures.ts'
import { owner } from './policies/naive-policy.ts'

/** What clients may do whose certificates the registry knows, and what the others may. */
const registered = 'aa'.repeat(32)
const inactive = 'bb'.repeat(32)
const stranger = 'cc'.repeat(32)
const exclusive = 'dd'.repeat(32)

const things = new Map([
  [
    'lamp',
    {
      thingName: 'lamp',
      thingTypeName: 'lights',
      attributes: { room: 'kitchen' },
      principals: { [registered]: 'NON_EXCLUSIVE_THING' },
    },
  ],
  [
    'bell',
    {
      thingName: 'bell',
      attributes: {},
      principals: { [exclusive]: 'EXCLUSIVE_THING' },
    },
  ],
])
const registry: RegisteredClients = {
  statusOf: (id) => ({ [registered]: 'ACTIVE', [exclusive]: 'ACTIVE', [inactive]: 'INACTIVE' })[id],
  find: (thingName) => things.get(thingName),
  thingsOf: (id) =>
    [...things.values()].flatMap(({ thingName, principals }) =>
      Object.hasOwn(principals, id) ? [thingName] : [],
    ),
}

interface Given {
  /** Statements for all clients; absent: there is no folder. */
  readonly statements?: readonly unknown[]
  readonly targets?: readonly string[]
  readonly isForRegistered?: boolean
}

async function open({ statements, targets = ['all'], isForRegistered = false }: Given) {
  const policiesDir = path.join(await temporaryFolder(), 'policies')
  let isNarrow = isForRegistered
  const write = async (to: readonly string[]) => {
    const document = { Version: '2012-10-17', Statement: statements }
    await writeFile(path.join(policiesDir, 'p.json'), JSON.stringify(document))
    await writeFile(path.join(policiesDir, 'p.meta.json'), JSON.stringify({ targets: to }))
  }
  if (statements) {
    await mkdir(policiesDir)
    await write(targets)
  }
  const scope = {
    isForRegistered: () => isNarrow,
    widen() {
      isNarrow = false
    },
  }
  const access = await openMqttAccess(
    { ...createWatchedLog(), registry, scope },
    { owner, policiesDir, anonymous: { tcp: true, tls: true, websocket: true } },
  )
  onTestFinished(() => access.close())
  const permissions = async (principal: string | undefined, clientId: string) => {
    const certificate = principal === undefined ? undefined : { principal }
    const peer = { transport: 'tls', sourceIp: '192.0.2.1', certificate } as const
    const admission = await access.authenticate(peer, { clientId })
    return admission.outcome === 'admitted' ? admission.permissions : admission.outcome
  }
  return { access, permissions, write, isNarrow: () => isNarrow }
}

const mayPublish = (permissions: Permissions | string, topic: string) =>
  typeof permissions === 'string' ? permissions : permissions.mayPublish(topic)
const allow = (action: string, resource: string, Condition?: unknown) => ({
  Effect: 'Allow',
  Action: `iot:${action}`,
  Resource: resource === '*' ? '*' : `arn:aws:iot:*:*:${resource}`,
  ...(Condition !== undefined && { Condition }),
})

const attached = (value: unknown) => ({ Bool: { 'iot:connection.thing.IsAttached': value } })

describe('the variables of the thing', () => {
  const cases: [variable: string, string | undefined, string, string | undefined][] = [
    ['ThingName', registered, 'lamp', 'lamp'],
    ['ThingName', registered, 'other', undefined],
    ['ThingName', exclusive, 'other', 'bell'],
    ['ThingTypeName', registered, 'lamp', 'lights'],
    ['ThingTypeName', exclusive, 'bell', undefined],
    ['Attributes[room]', registered, 'lamp', 'kitchen'],
    ['Attributes[floor]', registered, 'lamp', undefined],
    ['IsAttached', registered, 'lamp', 'true'],
    ['IsAttached', registered, 'other', 'false'],
    // As before there was a registry.
    ['ThingName', stranger, 'other', 'other'],
    ['ThingName', undefined, 'other', 'other'],
    // A thing of the registry belongs to its certificates.
    ['ThingName', stranger, 'lamp', undefined],
    ['ThingName', undefined, 'lamp', undefined],
    ['IsAttached', stranger, 'other', 'false'],
  ]
  test.each(cases)('%s of %s as %s is %s', async (variable, principal, clientId, value) => {
    const { permissions } = await open({
      statements: [
        allow('Connect', '*'),
        allow('Publish', `topic/is/\${iot:Connection.Thing.${variable}}`),
      ],
    })
    const given = await permissions(principal, clientId)
    for (const topic of ['lamp', 'bell', 'other', 'lights', 'kitchen', 'true', 'false', '']) {
      expect([topic, mayPublish(given, `is/${topic}`)]).toEqual([topic, topic === value])
    }
  })

  test('decide by the condition IsAttached', async () => {
    const { permissions } = await open({
      statements: [
        allow('Connect', '*'),
        allow('Publish', 'topic/attached', attached(['true'])),
        allow('Publish', 'topic/loose', attached(false)),
      ],
    })
    const lamp = await permissions(registered, 'lamp')
    const other = await permissions(registered, 'other')
    expect([mayPublish(lamp, 'attached'), mayPublish(lamp, 'loose')]).toEqual([true, false])
    expect([mayPublish(other, 'attached'), mayPublish(other, 'loose')]).toEqual([false, true])
  })
})

test.each([
  ['without a folder of policies', {}],
  ['with a policy for everything', { statements: [allow('*', '*')] }],
])('a certificate that is not active is refused %s', async (_, given) => {
  const { permissions } = await open(given)
  expect(await permissions(inactive, 'lamp')).toBe('notAuthorized')
})

test('a registered certificate needs a policy, although others need none', async () => {
  const { permissions } = await open({})
  expect(await permissions(registered, 'lamp')).toBe('notAuthorized')
  expect(mayPublish(await permissions(stranger, 'x'), 't')).toBe(true)
  expect(mayPublish(await permissions(undefined, 'x'), 't')).toBe(true)
})

test('a folder that an operation made is for registered certificates, until it is widened', async () => {
  const { access, permissions, write, isNarrow } = await open({
    statements: [allow('*', '*')],
    targets: [`cert:${registered}`],
    isForRegistered: true,
  })
  const all = async () => ({
    registered: mayPublish(await permissions(registered, 'lamp'), 't'),
    unattached: mayPublish(await permissions(exclusive, 'bell'), 't'),
    stranger: mayPublish(await permissions(stranger, 'x'), 't'),
    anonymous: mayPublish(await permissions(undefined, 'x'), 't'),
  })
  const narrow = { registered: true, unattached: 'notAuthorized', stranger: true, anonymous: true }
  expect(await all()).toEqual(narrow)
  const before = await permissions(undefined, 'x')
  await write([`cert:${registered}`, 'user:somebody'])
  await access.reloadPolicies()
  const wide = { ...narrow, stranger: 'notAuthorized', anonymous: 'notAuthorized' }
  expect(await all()).toEqual(wide)
  // What is connected is decided anew as well.
  expect(mayPublish(before, 't')).toBe(false)
  expect(isNarrow()).toBe(false)
  await write([`cert:${registered}`])
  await access.reloadPolicies()
  expect(await all()).toEqual(wide)
})
