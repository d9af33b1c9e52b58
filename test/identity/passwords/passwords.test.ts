import { readFile } from 'node:fs/promises'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createLoginLimiter, networkOf } from '../../../src/identity/passwords/login-limiter.ts'
import {
  parsePasswordFile,
  removeUser,
  setPassword,
} from '../../../src/identity/passwords/password-file.ts'
import {
  hashPassword,
  isPasswordOf,
  parsePasswordHash,
} from '../../../src/identity/passwords/password-hash.ts'
import { openPasswords } from '../../../src/identity/passwords/passwords.ts'
import { writeSecretFile } from '../../../src/storage/secret-file.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { createWatchedLog, temporaryFolder } from '../identity-fixtures.ts'

/** As cheap as a hash may be. */
const cost = { logN: 14, r: 8, p: 1 }
const salt = 'c2FsdHNhbHRzYWx0c2FsdA'
const digest = 'aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g'

describe('a hash of a password', () => {
  test('is that of the password and of no other, and never the same twice', async () => {
    const [one, two] = await Promise.all([hashPassword('pässword'), hashPassword('pässword')])
    expect(one).toMatch(/^\$scrypt\$ln=15,r=8,p=3\$[\w+/]{22}\$[\w+/]{43}$/)
    expect(one).not.toBe(two)
    const hash = parsePasswordHash(one)
    expect(await isPasswordOf(hash, Buffer.from('pässword'))).toBe(true)
    expect(await isPasswordOf(hash, Buffer.from('password'))).toBe(false)
    expect(await isPasswordOf(hash, Buffer.alloc(2_000))).toBe(false)
  })

  test('is that which RFC 7914 gives for these parameters', async () => {
    // Section 12: P = "pleaseletmein", S = "SodiumChloride", N = 16384, r = 8, p = 1; 32 bytes.
    const expected = '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2'
    const hash = { cost, salt: Buffer.from('SodiumChloride'), hash: Buffer.from(expected, 'hex') }
    expect(await isPasswordOf(hash, Buffer.from('pleaseletmein'))).toBe(true)
  })

  test.each<[string, string, RegExp]>([
    ['another scheme', `$argon2id$v=19$m=1,t=1,p=1$${salt}$${digest}`, /not a hash of the form/],
    [
      'too cheap',
      `$scrypt$ln=10,r=8,p=1$${salt}$${digest}`,
      /ln=10 of the hash is not from 14 to 18/,
    ],
    ['too dear', `$scrypt$ln=20,r=8,p=1$${salt}$${digest}`, /ln=20/],
    ['too much memory', `$scrypt$ln=18,r=16,p=1$${salt}$${digest}`, /256 MiB/],
    ['too short a salt', `$scrypt$ln=14,r=8,p=1$c2FsdA$${digest}`, /16 bytes of salt/],
    ['too short a hash', `$scrypt$ln=14,r=8,p=1$${salt}$aGFzaA`, /32 of hash/],
  ])('is refused: %s', (_name, text, message) => {
    expect(() => parsePasswordHash(text)).toThrow(message)
  })

  test('is not made of nothing, nor of too much', async () => {
    await expect(hashPassword('')).rejects.toThrow(/empty/)
    await expect(hashPassword('x'.repeat(1_025))).rejects.toThrow(/1025 bytes/)
  })
})

describe('the password file', () => {
  const hash = `$scrypt$ln=14,r=8,p=1$${salt}$${digest}`

  test('keeps comments and the other users when one gets a password, or goes', async () => {
    const file = path.join(await temporaryFolder(), 'passwords')
    await writeSecretFile(file, `# ours\n\na:${hash}\nb:${hash}\n`)
    expect(await setPassword(file, { user: 'a', password: 'x', cost })).toBe(true)
    expect(await setPassword(file, { user: 'ç d', password: 'x', cost })).toBe(false)
    expect(await removeUser(file, 'b')).toBe(true)
    expect(await removeUser(file, 'b')).toBe(false)
    const text = await readFile(file, 'utf8')
    expect(text).toMatch(/^# ours\n\na:\$scrypt\S+\nç d:\$scrypt\S+\n$/)
    expect(text).not.toContain(`a:${hash}\n`)
    expect([...parsePasswordFile(text).keys()]).toEqual(['a', 'ç d'])
  })

  test.each<[string, string, RegExp]>([
    ['no colon', 'a', /^line 1: not of the form/],
    ['no user', `\n:${hash}`, /^line 2: not of the form/],
    ['a user twice', `a:${hash}\na:${hash}`, /^line 2: the user a is listed twice/],
    ['a password', 'a:hunter2', /^line 1: not a hash of the form \$scrypt\S+$/],
  ])('is refused with %s', (_name, text, message) => {
    expect(() => parsePasswordFile(text)).toThrow(message)
  })

  test.each(['', 'a:b', '#a', 'a\nb', 'x'.repeat(129)])('takes no user %j', async (user) => {
    const file = path.join(await temporaryFolder(), 'passwords')
    await expect(setPassword(file, { user, password: 'x', cost })).rejects.toThrow(
      /not a user name/,
    )
  })
})

async function openWith(options: object = {}) {
  const file = path.join(await temporaryFolder(), 'passwords')
  await setPassword(file, { user: 'u', password: 'right', cost })
  const log = createWatchedLog()
  const passwords = await openPasswords(log, { file, ...options })
  onTestFinished(() => passwords.close())
  return { file, log, passwords }
}

describe('checking a password', () => {
  const address = '192.0.2.1'
  const login = (user: string, password: string, from = address) => ({
    user,
    password: Buffer.from(password),
    address: from,
  })

  test('tells the right one, and no user from a wrong password', async () => {
    const { passwords } = await openWith()
    expect(await passwords.check(login('u', 'right'))).toBe('right')
    expect(await passwords.check(login('u', 'wrong'))).toBe('wrong')
    expect(await passwords.check(login('nobody', 'right'))).toBe('wrong')
    expect(await passwords.check(login('u', 'x'.repeat(2_000)))).toBe('wrong')
  })

  test('holds to the file, also for a password that was right before', async () => {
    const { file, log, passwords } = await openWith()
    expect(await passwords.check(login('u', 'right'))).toBe('right')
    await setPassword(file, { user: 'u', password: 'other', cost })
    await log.nextLine()
    expect(await passwords.check(login('u', 'right'))).toBe('wrong')
    expect(await passwords.check(login('u', 'other'))).toBe('right')
    await removeUser(file, 'u')
    await log.nextLine()
    expect(await passwords.check(login('u', 'other'))).toBe('wrong')
  })

  test('is put off after failures: not even the right one is looked at', async () => {
    const { log, passwords } = await openWith()
    const failures = Array.from({ length: 10 }, () => passwords.check(login('u', 'wrong')))
    expect(new Set(await Promise.all(failures))).toEqual(new Set(['wrong']))
    expect(await passwords.check(login('u', 'right'))).toBe('limited')
    expect(await passwords.check(login('u', 'right', '192.0.2.2'))).toBe('right')
    log.clock.advance(6_000)
    expect(await passwords.check(login('u', 'right'))).toBe('right')
  })

  test('goes on for who is known while others guess the user from everywhere', async () => {
    const limits = { pairFailuresMax: 2, addressFailuresMax: 2, userFailuresMax: 3 }
    const log = createWatchedLog()
    const limiter = createLoginLimiter(log, { ...limits, windowMs: 60_000, keysMax: 100 })
    const file = path.join(await temporaryFolder(), 'passwords')
    await setPassword(file, { user: 'u', password: 'right', cost })
    const passwords = await openPasswords({ ...log, limiter }, { file })
    onTestFinished(() => passwords.close())
    expect(await passwords.check(login('u', 'right'))).toBe('right')
    for (const host of [2, 3, 4]) {
      expect(await passwords.check(login('u', 'wrong', `192.0.2.${host}`))).toBe('wrong')
    }
    expect(await passwords.check(login('u', 'right'))).toBe('right')
    const guesses = []
    for (const guess of ['a', 'b', 'right']) {
      guesses.push(await passwords.check(login('u', guess, '192.0.2.9')))
    }
    expect(guesses).toEqual(['limited', 'limited', 'limited'])
  })

  test('is not held up by invented logins whose clients have gone', async () => {
    const { passwords } = await openWith()
    const outcomes: string[] = []
    const junk = Array.from({ length: 16 }, (_, index) => {
      const gone = new AbortController()
      const check = passwords.check({ ...login(`junk${index}`, 'x'), gone: gone.signal })
      void check.then((outcome) => outcomes.push(outcome))
      return { gone, check }
    })
    for (const { gone } of junk) gone.abort()
    expect(await passwords.check(login('u', 'right', '192.0.2.2'))).toBe('right')
    // The two that were running when their clients went could not be stopped.
    await Promise.all(junk.map(({ check }) => check))
    expect(outcomes.toSorted()).toEqual([...Array(14).fill('gone'), 'wrong', 'wrong'])
  })

  test('gives every address its turn, and each a few places', async () => {
    const { passwords } = await openWith({ checksAtOnceMax: 1, checksWaitingPerAddressMax: 5 })
    const finished: string[] = []
    const check = async (user: string, password: string, from?: string) => {
      const outcome = await passwords.check(login(user, password, from))
      finished.push(`${user} ${outcome}`)
    }
    const junk = Array.from({ length: 8 }, (_, index) => check(`junk${index}`, 'x'))
    await Promise.all([...junk, check('u', 'right', '192.0.2.2')])
    expect(finished.slice(0, 4)).toEqual(['junk6 busy', 'junk7 busy', 'junk0 wrong', 'junk1 wrong'])
    expect(finished.indexOf('u right')).toBe(4)
  })

  test('counts a login as failed while it waits, and not when it was right or never compared', async () => {
    const limits = { pairFailuresMax: 2, addressFailuresMax: 2, userFailuresMax: 2 }
    const log = createWatchedLog()
    const limiter = createLoginLimiter(log, { ...limits, windowMs: 60_000, keysMax: 100 })
    const file = path.join(await temporaryFolder(), 'passwords')
    await setPassword(file, { user: 'u', password: 'right', cost })
    const passwords = await openPasswords({ ...log, limiter }, { file, checksAtOnceMax: 1 })
    onTestFinished(() => passwords.close())
    const gone = new AbortController()
    const right = passwords.check(login('u', 'right'))
    const left = passwords.check({ ...login('u', 'right'), gone: gone.signal })
    expect(await passwords.check(login('u', 'right'))).toBe('limited')
    gone.abort()
    expect([await right, await left]).toEqual(['right', 'gone'])
    expect(limiter.waitMs(login('u', ''))).toBe(0)
    expect(await passwords.check(login('u', 'wrong'))).toBe('wrong')
    expect(await passwords.check(login('u', 'wrong'))).toBe('wrong')
    expect(await passwords.check(login('u', 'wrong'))).toBe('limited')
  })

  test('goes on for a user that was let in while others at the address fail', async () => {
    const limits = { pairFailuresMax: 2, addressFailuresMax: 2, userFailuresMax: 2 }
    const log = createWatchedLog()
    const limiter = createLoginLimiter(log, { ...limits, windowMs: 60_000, keysMax: 100 })
    const file = path.join(await temporaryFolder(), 'passwords')
    await setPassword(file, { user: 'u', password: 'right', cost })
    const passwords = await openPasswords({ ...log, limiter }, { file })
    onTestFinished(() => passwords.close())
    expect(await passwords.check(login('u', 'right'))).toBe('right')
    for (const user of ['a', 'b']) expect(await passwords.check(login(user, 'x'))).toBe('wrong')
    expect(await passwords.check(login('c', 'x'))).toBe('limited')
    expect(await passwords.check(login('u', 'right'))).toBe('right')
  })

  test('refuses what is too much at once', async () => {
    const { passwords } = await openWith({ checksAtOnceMax: 1, checksWaitingMax: 1 })
    const outcomes = await Promise.all(
      ['1', '2', '3'].map((user) => passwords.check(login(user, 'x'))),
    )
    expect(outcomes).toEqual(['wrong', 'wrong', 'busy'])
    expect(await passwords.check(login('u', 'right'))).toBe('right')
  })
})

describe('the limit of failed logins', () => {
  const options = {
    pairFailuresMax: 1_000,
    addressFailuresMax: 4,
    userFailuresMax: 1_000,
    windowMs: 60_000,
    keysMax: 3,
  }

  test('gives one try back at a time, and all after the window', () => {
    const clock = createManualClock()
    const limiter = createLoginLimiter({ clock }, options)
    const attempt = { address: '192.0.2.1', user: 'u' }
    for (let count = 0; count < 4; count++) {
      expect(limiter.waitMs(attempt)).toBe(0)
      limiter.failed(attempt)
    }
    expect(limiter.waitMs(attempt)).toBe(15_000)
    expect(limiter.waitMs({ ...attempt, address: '192.0.2.2' })).toBe(0)
    clock.advance(15_000)
    expect(limiter.waitMs(attempt)).toBe(0)
    limiter.failed(attempt)
    expect(limiter.waitMs(attempt)).toBe(15_000)
  })

  test('lets through no more than the bucket and what flows back, whatever the times', () => {
    const periods = fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 60 })
    fc.assert(
      fc.property(periods, (pauses) => {
        const clock = createManualClock()
        const limiter = createLoginLimiter({ clock }, options)
        const attempt = { address: '192.0.2.1', user: 'u' }
        let failures = 0
        for (const pause of pauses) {
          clock.advance(pause)
          if (limiter.waitMs(attempt) > 0) continue
          limiter.failed(attempt)
          failures++
        }
        expect(failures).toBeLessThanOrEqual(4 + clock.monotonicMs() / 15_000)
      }),
    )
  })

  test('remembers so many keys and no more', () => {
    const limiter = createLoginLimiter({ clock: createManualClock() }, options)
    const attempt = { address: '192.0.2.1', user: 'u' }
    for (let count = 0; count < 4; count++) limiter.failed(attempt)
    for (let host = 2; host < 4; host++) limiter.failed({ ...attempt, address: `192.0.2.${host}` })
    expect(limiter.waitMs(attempt)).toBeGreaterThan(0)
    limiter.failed({ ...attempt, address: '192.0.2.4' })
    expect(limiter.waitMs(attempt)).toBe(0)
  })

  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('%s counts as %s', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })
})
