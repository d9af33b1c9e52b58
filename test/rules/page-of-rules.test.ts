import { describe, expect, test } from 'vitest'
import { openStore, payloadOf } from './rule-fixtures.ts'

const names = (rules: readonly { name: string }[]): string[] => rules.map((rule) => rule.name)

const fill = async (...filters: [string, string | undefined, boolean?][]) => {
  const { store } = await openStore()
  for (const [name, filter, ruleDisabled = false] of filters) {
    const sql = filter === undefined ? { sql: 'SELECT *' } : {}
    await store.create(name, payloadOf(filter, { ruleDisabled, ...sql }), {})
  }
  return store
}

describe('list', () => {
  test('gives rules by topic and by state', async () => {
    const store = await fill(['a', 'x/#'], ['b', 'x/y', true], ['c', 'z'], ['d', undefined])
    const listed = (query: object) => names(store.list({ maxResults: 10, ...query }).rules)
    expect(listed({})).toEqual(['a', 'b', 'c', 'd'])
    expect(listed({ topic: 'x/y' })).toEqual(['a', 'b'])
    expect(listed({ topic: 'x/#' })).toEqual(['a'])
    expect(listed({ ruleDisabled: true })).toEqual(['b'])
    expect(listed({ topic: 'x/y', ruleDisabled: false })).toEqual(['a'])
  })

  test('pages through rules that are there all the time, while others come and go', async () => {
    const store = await fill(['b', 'x'], ['d', 'x'], ['f', 'x'], ['h', 'x'])
    const first = store.list({ maxResults: 2 })
    expect(names(first.rules)).toEqual(['b', 'd'])
    await store.delete('d')
    await store.create('a', payloadOf(), {})
    await store.create('e', payloadOf(), {})
    const second = store.list({ maxResults: 2, nextToken: first.nextToken ?? '' })
    expect(names(second.rules)).toEqual(['e', 'f'])
    const third = store.list({ maxResults: 2, nextToken: second.nextToken ?? '' })
    expect(names(third.rules)).toEqual(['h'])
    expect(third.nextToken).toBeUndefined()
  })

  test('gives no token when no further rule is asked for', async () => {
    const store = await fill(['a', 'x'], ['b', 'x'], ['c', 'other'])
    expect(store.list({ maxResults: 2, topic: 'x' }).nextToken).toBeUndefined()
    expect(store.list({ maxResults: 3 }).nextToken).toBeUndefined()
  })

  test.each(['', 'b', 'YWZ0ZXI6', Buffer.from('after:../x').toString('base64url')])(
    'refuses the token %j',
    async (nextToken) => {
      const { store } = await openStore()
      expect(() => store.list({ maxResults: 1, nextToken })).toThrow(/^nextToken is not one/)
    },
  )
})
