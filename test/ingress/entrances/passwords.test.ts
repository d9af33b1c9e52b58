import { describe, expect, test } from 'vitest'
import { allow, returnCodeOf, startGuarded } from '../guarded-ingress.ts'
import type { GuardedIngress } from '../guarded-ingress.ts'
import { connectRaw, openRaw, publishPacket } from '../helpers.ts'

const passwords = { alice: 'correct horse', bob: 'battery staple' }
const closed = { anonymous: { tcp: false, tls: false, websocket: false } }
const login = (username: string, password: string) => ({
  username,
  password: Buffer.from(password),
})
type Connect = Parameters<typeof returnCodeOf>[1]

describe('the return code of CONNACK', () => {
  const cases: [string, Connect, open: number, closed: number][] = [
    ['a right password', login('alice', 'correct horse'), 0, 0],
    ['a wrong one', login('alice', 'incorrect'), 4, 4],
    ['that of another user', login('alice', 'battery staple'), 4, 4],
    ['an unknown user', login('mallory', 'correct horse'), 4, 4],
    ['an empty password', login('alice', ''), 4, 4],
    ['a user name without a password', { username: 'alice' }, 4, 4],
    ['a user name that is too long', login('a'.repeat(60_000), 'x'), 4, 4],
    ['a password that is too long', login('alice', 'x'.repeat(60_000)), 4, 4],
    ['a user name of a prototype', login('__proto__', 'x'), 4, 4],
    ['nothing', {}, 0, 5],
    ['the statistics of an SDK', { username: '?SDK=JavaScript&Version=1' }, 0, 5],
  ]
  test('is that of the login, whether or not anonymous clients are let in', async () => {
    const [open, shut] = await Promise.all([
      startGuarded({ passwords }),
      startGuarded({ passwords, ...closed }),
    ])
    for (const [name, connect, ifOpen, ifShut] of cases) {
      const codes = [await returnCodeOf(open.port, connect), await returnCodeOf(shut.port, connect)]
      expect([name, ...codes]).toEqual([name, ifOpen, ifShut])
    }
    expect(await shut.metric('mqttConnectionsRefused', { reason: 'bad_credentials' })).toBe(8)
    expect(await shut.metric('mqttConnectionsRefused', { reason: 'not_authorized' })).toBe(2)
    expect(await shut.metric('mqttConnections')).toBe(0)
    expectNoSecretIn(open, shut)
  })

  test('without a password file is that of an anonymous client', async () => {
    const [open, shut] = await Promise.all([startGuarded(), startGuarded(closed)])
    expect(await returnCodeOf(open.port, login('alice', 'x'))).toBe(0)
    expect(await returnCodeOf(shut.port, login('alice', 'x'))).toBe(4)
    expect(await returnCodeOf(shut.port, {})).toBe(5)
  })

  test('is 3 after too many failures, also for the right password', async () => {
    const { port, metric, warnings } = await startGuarded({ passwords })
    const codes: number[] = []
    for (let attempt = 0; attempt < 12; attempt++) {
      codes.push(await returnCodeOf(port, { ...login('alice', 'guess'), clientId: 'guesser' }))
    }
    expect(codes).toEqual([...Array(10).fill(4), 3, 3])
    expect(await returnCodeOf(port, login('alice', 'correct horse'))).toBe(3)
    expect(await returnCodeOf(port, login('bob', 'battery staple'))).toBe(0)
    expect(await metric('mqttConnectionsRefused', { reason: 'login_busy' })).toBe(3)
    expect(warnings()).toContainEqual(
      expect.objectContaining({
        reason: 'login_busy',
        clientId: 'guesser',
        sourceIp: '127.0.0.1',
        detail: 'too many failed logins of this user or address',
      }),
    )
  })
})

function expectNoSecretIn(...started: readonly GuardedIngress[]): void {
  const text = JSON.stringify(started.map(({ lines, watched }) => [lines, watched.lines]))
  expect(text).toContain('bad_credentials')
  expect(text).not.toMatch(/correct horse|battery staple|incorrect/)
}

test('what was sent behind the CONNECT waits for the login, and goes with a refusal', async () => {
  const { port, messages } = await startGuarded({ passwords })
  const [right, wrong] = [await openRaw(port), await openRaw(port)]
  const connect = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true } as const
  const rightLogin = { ...connect, clientId: 'right', ...login('alice', 'correct horse') }
  right.send(rightLogin, publishPacket({ topic: 'right' }))
  wrong.send(
    { ...connect, clientId: 'wrong', ...login('alice', 'incorrect') },
    publishPacket({ topic: 'wrong' }),
  )
  await wrong.closed
  expect(wrong.waiting).toMatchObject([{ cmd: 'connack', returnCode: 4 }])
  expect(await right.next()).toMatchObject({ cmd: 'connack', returnCode: 0 })
  expect(await right.next()).toMatchObject({ cmd: 'puback' })
  expect(messages).toMatchObject([{ topic: 'right', principal: 'alice' }])
})

test('a client that goes while its password is checked is not connected', async () => {
  const { port, metric } = await startGuarded({ passwords })
  const client = await openRaw(port)
  const connect = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true } as const
  client.send({ ...connect, clientId: 'gone', ...login('alice', 'correct horse') })
  client.destroy()
  await client.closed
  // Logins take their turns: that of the next is over after that of the first.
  expect(await returnCodeOf(port, login('alice', 'incorrect'))).toBe(4)
  expect(await metric('mqttConnections')).toBe(0)
})

test('invented logins that are closed at once do not hold up a right one', async () => {
  const { port } = await startGuarded({ passwords })
  const connect = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true } as const
  const junk = await Promise.all(Array.from({ length: 60 }, () => openRaw(port)))
  for (const [index, client] of junk.entries()) {
    client.send({ ...connect, clientId: `junk-${index}`, ...login(`junk${index}`, 'x') })
    client.destroy()
  }
  await Promise.all(junk.map(({ closed: isClosed }) => isClosed))
  const startMs = performance.now()
  // All clients share an address here, whose few places may be taken for a moment.
  await expect
    .poll(() => returnCodeOf(port, login('alice', 'correct horse')), { timeout: 8_000 })
    .toBe(0)
  // Sixty hashes take far longer than the two that were under way.
  expect(performance.now() - startMs).toBeLessThan(5_000)
})

test('a login does not let a client take over the session of another user, where policies say so', async () => {
  const policies = {
    alice: { statements: [allow('*', 'client/alice-*', 'topic/*')], targets: ['user:alice'] },
    bob: { statements: [allow('*', 'client/bob-*', 'topic/*')], targets: ['user:bob'] },
  }
  const { port } = await startGuarded({ passwords, policies })
  const alice = await connectRaw(port, {
    clientId: 'alice-1',
    ...login('alice', 'correct horse'),
  })
  const bob = { clientId: 'alice-1', ...login('bob', 'battery staple') }
  expect(await returnCodeOf(port, bob)).toBe(5)
  alice.send(publishPacket())
  expect(await alice.next()).toMatchObject({ cmd: 'puback' })
})
