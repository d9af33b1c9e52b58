import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { createPermissions, mayConnect } from '../../../src/identity/policies/permissions.ts'
import { combinePolicies, compilePolicy } from '../../../src/identity/policies/policy.ts'
import { allPermissions } from '../../../src/identity/policies/access.ts'
import type { Access } from '../../../src/identity/policies/access.ts'
import { findFilterFault, findTopicTextFault } from '../../../src/topics/topic.ts'
import {
  documentOf,
  isAllowedNaively,
  names,
  owner,
  statementLists,
} from '../../identity/policies/naive-policy.ts'
import type { NaiveStatement } from '../../identity/policies/naive-policy.ts'
import {
  connectPacket,
  connectRaw,
  encode,
  openRaw,
  publishPacket,
  startIngress,
  until,
} from '../helpers.ts'

const startWith = (access: Access) => startIngress(undefined, {}, undefined, systemClock, access)

/** Everyone may do what these statements say. */
function createStatementAccess() {
  let policy = combinePolicies([])
  const access: Access = {
    authenticate(_origin, { clientId }) {
      const variables = { 'iot:ClientId': clientId, 'iot:Connection.Thing.ThingName': clientId }
      const options = { principal: undefined, owner, variables, policyNow: () => policy }
      return mayConnect(options, clientId)
        ? { outcome: 'admitted', permissions: createPermissions(options) }
        : { outcome: 'notAuthorized', detail: 'no' }
    },
  }
  return {
    access,
    set: (statements: readonly NaiveStatement[]) => {
      policy = compilePolicy(documentOf(statements))
    },
  }
}

test('whatever a client calls itself, sends to and asks for: over the wire it gets what its policy says', async () => {
  const { access, set } = createStatementAccess()
  const { port, messages } = await startWith(access)
  const topics = names.filter((name) => findTopicTextFault(name) === undefined)
  const filters = names.filter((name) => findFilterFault(name) === undefined)
  await fc.assert(
    fc.asyncProperty(
      statementLists,
      names,
      topics,
      filters,
      async (given, clientId, topic, filter) => {
        // Most policies would not let anyone connect.
        const statements = [
          ...given,
          { effect: 'Allow', action: '*', resource: 'client/*' } as const,
        ]
        set(statements)
        const variables = { 'iot:ClientId': clientId, 'iot:Connection.Thing.ThingName': clientId }
        const may = (action: string, resource: string) =>
          isAllowedNaively(statements, { action: `iot:${action}`, resource }, variables)
        const before = messages.length
        const client = await openRaw(port)
        client.send(
          connectPacket({ clientId }),
          { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: filter, qos: 0 }] },
          publishPacket({ topic, messageId: 2 }),
          { cmd: 'disconnect' },
        )
        await client.closed
        const isConnected = may('Connect', `client/${clientId}`)
        const isPublished = isConnected && may('Publish', `topic/${topic}`)
        const isGranted = may('Subscribe', `topicfilter/${filter}`)
        const answers = client.waiting.filter(({ cmd }) => cmd !== 'publish')
        const expected = [
          { cmd: 'connack', returnCode: isConnected ? 0 : 5 },
          ...(isConnected ? [{ cmd: 'suback', granted: [isGranted ? 0 : 0x80] }] : []),
          ...(isPublished ? [{ cmd: 'puback', messageId: 2 }] : []),
        ]
        expect(answers.length).toBe(expected.length)
        for (const answer of expected) {
          expect(answers).toContainEqual(expect.objectContaining(answer))
        }
        expect(messages.slice(before).map((message) => message.topic)).toEqual(
          isPublished ? [topic] : [],
        )
        const received = client.waiting.filter(({ cmd }) => cmd === 'publish')
        const isReceivable = isPublished && isGranted && may('Receive', `topic/${topic}`)
        expect(received.length === 0 || isReceivable).toBe(true)
      },
    ),
    { numRuns: 150 },
  )
})

test('no mutation of a CONNECT admits a client without the password', async () => {
  const password = Buffer.from('correct horse')
  const { port, messages, metric } = await startWith({
    async authenticate(_origin, login) {
      await Promise.resolve()
      return login.username === 'alice' && password.equals(login.password ?? Buffer.alloc(0))
        ? { outcome: 'admitted', permissions: { ...allPermissions, principal: 'alice' } }
        : { outcome: 'badCredentials', detail: 'no' }
    },
  })
  const login = { username: 'alice', password }
  const witness = await connectRaw(port, { clientId: 'witness', ...login })
  const will = { topic: 'will', payload: Buffer.from('gone'), qos: 1 as const, retain: false }
  const connects = [
    connectPacket({ clientId: 'one', ...login }),
    connectPacket({ clientId: 'two', ...login, will }),
    connectPacket({ clientId: 'three', clean: false, username: 'alice' }),
    connectPacket({ clientId: 'four', username: 'mallory', password }),
    connectPacket({ clientId: 'five' }),
  ].map(encode)
  const changes = fc.array(fc.tuple(fc.nat(90), fc.nat(255)), { maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...connects),
      changes,
      fc.nat(90),
      async (connect, at, cut) => {
        const bytes = Buffer.from(connect)
        for (const [place, value] of at) bytes[place % bytes.length] = value
        const client = await openRaw(port)
        client.send(cut < 60 ? bytes : bytes.subarray(0, cut), publishPacket())
        client.end()
        await client.closed
      },
    ),
    { numRuns: 150 },
  )
  await until(async () => (await metric('mqttConnections')) === 1)
  expect(messages.length).toBeGreaterThan(0)
  expect(new Set(messages.map(({ principal }) => principal))).toEqual(new Set(['alice']))
  witness.send(publishPacket())
  expect(await witness.next()).toMatchObject({ cmd: 'puback' })
})
