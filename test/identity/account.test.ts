import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openAccount } from '../../src/identity/account.ts'
import type { Account } from '../../src/identity/account.ts'
import { createWatchedLog, temporaryFolder } from './identity-fixtures.ts'

const never = new AbortController().signal
const silent = Symbol('no answer')

/** An account of a folder, and an STS that answers as each test says. */
async function openWith(
  answers: readonly (string | Error | typeof silent)[],
  given: { readonly kept?: string; readonly fixed?: string } = {},
) {
  const file = path.join(await temporaryFolder(), 'account.json')
  if (given.kept !== undefined) await writeFile(file, given.kept, { mode: 0o600 })
  const watched = createWatchedLog()
  const left = [...answers]
  let asked = 0
  const account = await openAccount(
    {
      ...watched,
      random: () => 1,
      ask: async () => {
        asked += 1
        const answer = left.shift() ?? new Error('STS is gone')
        if (answer === silent) return new Promise(() => {})
        if (answer instanceof Error) throw answer
        return answer
      },
    },
    { file, fixed: given.fixed },
  )
  onTestFinished(() => account.close())
  const kept = async () => JSON.parse(await readFile(file, 'utf8')) as unknown
  return { ...watched, account, file, kept, asked: () => asked }
}

const settled = (account: Account, isNeeded = () => true) =>
  account.settled({ isNeeded, onWait: () => {}, signal: never })

const [first, second] = ['210987654321', '123456789012'] as const

describe('the account', () => {
  test('is what STS says, and is kept', async () => {
    const { account, kept } = await openWith([first])
    await settled(account)
    expect(account.id()).toBe(first)
    expect(await kept()).toEqual({ accountId: first })
  })

  test('is the last known one while STS fails, until STS names another', async () => {
    const { account, clock, lines, kept } = await openWith([new Error('503'), second], {
      kept: `{"accountId":"${first}"}`,
    })
    await settled(account)
    expect(account.id()).toBe(first)
    expect(lines).toMatchObject([{ level: 'warn', reason: '503', accountId: first }])
    clock.advance(1_000)
    await expect.poll(() => account.id()).toBe(second)
    await expect.poll(kept).toEqual({ accountId: second })
    expect(lines[1]).toMatchObject({ level: 'warn', accountId: second, before: first })
  })

  test.each(['000000000000 ', '', '12345678901', 'null'])(
    'is not %j, whoever says so',
    async (text) => {
      const { account, lines } = await openWith([text], {
        kept: JSON.stringify({ accountId: text }),
      })
      await settled(account, () => false)
      expect(account.id()).toBeUndefined()
      expect(lines.map(({ level }) => level)).toEqual(['error', 'warn'])
    },
  )

  test('is the fixed one, and nobody is asked', async () => {
    const { account, asked } = await openWith([], {
      fixed: first,
      kept: `{"accountId":"${second}"}`,
    })
    await settled(account)
    expect([account.id(), asked()]).toEqual([first, 0])
  })
})

describe('waiting for it', () => {
  test('asks again, less and less often, and says each reason once', async () => {
    const { account, clock, asked, lines } = await openWith([])
    const waiting = settled(account)
    await expect.poll(() => lines.length).toBe(1)
    for (const [delayMs, count] of [
      [1_000, 2],
      [2_000, 3],
      [4_000, 4],
      [8_000, 5],
      [16_000, 6],
      [30_000, 7],
      [30_000, 8],
    ] as const) {
      clock.advance(delayMs - 1)
      expect(asked()).toBe(count - 1)
      clock.advance(1)
      await expect.poll(asked).toBe(count)
      // The delay that follows begins when the failure has been seen.
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(lines).toMatchObject([{ level: 'warn', reason: 'STS is gone' }])
    expect(await Promise.race([waiting, Promise.resolve('waits')])).toBe('waits')
  })

  test('ends when nothing needs it any more', async () => {
    const { account, clock } = await openWith([])
    let isNeeded = true
    const seen: string[] = []
    const options = { isNeeded: () => isNeeded, onWait: () => seen.push('waits'), signal: never }
    const waiting = account.settled(options).then(() => seen.push('goes on'))
    await expect.poll(() => seen).toEqual(['waits'])
    isNeeded = false
    clock.advance(1_000)
    await waiting
    expect(seen).toEqual(['waits', 'goes on'])
    expect(account.id()).toBeUndefined()
  })

  test('takes no longer than a signal allows', async () => {
    const { account } = await openWith([silent])
    const signal = AbortSignal.abort()
    await expect(
      account.settled({ isNeeded: () => true, onWait: () => {}, signal }),
    ).rejects.toMatchObject({ name: 'AbortError' })
  })

  test('asks a silent STS again after twenty seconds', async () => {
    const { account, clock, lines } = await openWith([silent, first])
    clock.advance(20_000)
    await expect.poll(() => lines).toMatchObject([{ reason: 'no answer within 20 s' }])
    clock.advance(1_000)
    await expect.poll(() => account.id()).toBe(first)
  })
})
