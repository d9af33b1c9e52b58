import { describe, expect, test } from 'vitest'
import { createRoleCredentials } from '../../../src/aws/call/credentials.ts'
import type { AwsCredentials } from '../../../src/aws/call/credentials.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

const lifeMs = 3_600_000

/** The credentials of a role, with an STS that answers when it is told to. */
function openCredentials() {
  const clock = createManualClock(1_000_000)
  const asked: { answer: (key: string) => void; refuse: (reason: string) => void }[] = []
  const lines: Record<string, unknown>[] = []
  const credentials = createRoleCredentials(
    {
      clock,
      logger: createMemoryLogger((line) => lines.push(line)),
      assumeRole: () =>
        new Promise<AwsCredentials>((resolve, reject) => {
          asked.push({
            answer: (accessKeyId) =>
              resolve({
                accessKeyId,
                secretAccessKey: 's',
                sessionToken: 't',
                expiresAtMs: clock.wallMs() + lifeMs,
              }),
            refuse: (reason) => reject(new Error(reason)),
          })
        }),
    },
    { roleArn: 'arn:aws:iam::000000000000:role/r' },
  )
  const currentKey = async () => (await credentials.current()).accessKeyId
  return { clock, credentials, asked, lines, currentKey }
}

/** Lets what was resolved run on. */
const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('the credentials of a role', () => {
  test('are requested once, however many calls wait', async () => {
    const { asked, currentKey } = openCredentials()
    const waiting = [currentKey(), currentKey(), currentKey()]
    expect(asked).toHaveLength(1)
    asked[0]?.answer('first')
    expect(await Promise.all(waiting)).toEqual(['first', 'first', 'first'])
    expect(await currentKey()).toBe('first')
    expect(asked).toHaveLength(1)
  })

  test('are renewed in the background after 80 % of their lifetime', async () => {
    const { clock, asked, currentKey } = openCredentials()
    const first = currentKey()
    asked[0]?.answer('first')
    await first
    clock.advance(lifeMs * 0.8 - 1)
    await currentKey()
    expect(asked).toHaveLength(1)
    clock.advance(1)
    expect(await Promise.all([currentKey(), currentKey()])).toEqual(['first', 'first'])
    expect(asked).toHaveLength(2)
    asked[1]?.answer('second')
    await settle()
    expect(await currentKey()).toBe('second')
  })

  test('are used until they expire when STS does not answer', async () => {
    const { clock, asked, lines, currentKey } = openCredentials()
    const first = currentKey()
    asked[0]?.answer('first')
    await first
    clock.advance(lifeMs * 0.9)
    expect(await currentKey()).toBe('first')
    asked[1]?.refuse('no answer')
    await settle()
    expect(lines).toMatchObject([{ level: 'warn', reason: 'no answer' }])
    expect(await currentKey()).toBe('first')
    expect(asked).toHaveLength(2)
    clock.advance(10_000)
    expect(await currentKey()).toBe('first')
    expect(asked).toHaveLength(3)
  })

  test('are not used after their expiry', async () => {
    const { clock, asked, currentKey } = openCredentials()
    const first = currentKey()
    asked[0]?.answer('first')
    await first
    clock.advance(lifeMs)
    const refused = currentKey()
    asked[1]?.refuse('role is refused')
    await expect(refused).rejects.toThrow('role is refused')
    const second = currentKey()
    asked[2]?.answer('second')
    expect(await second).toBe('second')
  })

  test('are dropped when AWS calls them expired, but newer ones are not', async () => {
    const { credentials, asked, currentKey } = openCredentials()
    const first = credentials.current()
    asked[0]?.answer('first')
    const old = await first
    credentials.drop(old, 'expired')
    const second = currentKey()
    asked[1]?.answer('second')
    expect(await second).toBe('second')
    credentials.drop(old, 'expired')
    expect(await currentKey()).toBe('second')
    expect(asked).toHaveLength(2)
  })

  test('of a session that AWS does not know are dropped, at most once a minute', async () => {
    const { clock, credentials, asked, currentKey } = openCredentials()
    const first = credentials.current()
    asked[0]?.answer('first')
    credentials.drop(await first, 'unknown')
    const second = credentials.current()
    asked[1]?.answer('second')
    const held = await second
    clock.advance(59_999)
    credentials.drop(held, 'unknown')
    expect(await currentKey()).toBe('second')
    clock.advance(1)
    credentials.drop(held, 'unknown')
    const third = currentKey()
    asked[2]?.answer('third')
    expect(await third).toBe('third')
  })
})
