import { describe, expect, test } from 'vitest'
import { payloadOf } from '../../rules/rule-fixtures.ts'
import { startServer } from '../http-fixtures.ts'

async function serverWithRule() {
  const server = await startServer()
  await server.store.create('r', payloadOf(), {})
  const url = `${server.url}/v1/rules/r/delivery`
  const put = async (body: unknown) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const answer = await fetch(url, { method: 'PUT', body: text })
    return [answer.status, await answer.json()] as const
  }
  const get = async () => (await fetch(url)).json()
  return { ...server, put, get }
}

describe('/v1/rules/{ruleName}/delivery', () => {
  test('is empty at first, and then what was put', async () => {
    const { put, get, store } = await serverWithRule()
    expect(await get()).toEqual({})
    const delivery = {
      defaults: { ordering: 'strict', retry: { maxAgeMs: 60_000 } },
      actions: { '0': { explicitHashKey: '${hash}', batching: { count: 10 } } },
    }
    expect(await put(delivery)).toEqual([200, delivery])
    expect(await get()).toEqual(delivery)
    expect(store.get('r').delivery).toEqual(delivery)
    expect(await put({})).toEqual([200, {}])
  })

  test.each<[unknown, string]>([
    ['{', 'not a JSON document: '],
    ['', 'not a JSON document: '],
    [{ defaults: { ordering: 1 } }, 'defaults.ordering must be '],
    [{ actions: { '3': {} } }, 'actions[3]: the rule has 1 actions'],
    [{ actions: { '0': { explicitHashKey: '${' } } }, 'actions[0].delivery.explicitHashKey: '],
  ])('refuses %j and names the field', async (body, message) => {
    const { put, get } = await serverWithRule()
    const [status, answer] = await put(body)
    expect([status, answer]).toMatchObject([
      400,
      { message: expect.stringContaining(message) as string },
    ])
    expect(await get()).toEqual({})
  })

  test('GET of an unknown rule: 404', async () => {
    const { url } = await startServer()
    const answer = await fetch(`${url}/v1/rules/nope/delivery`)
    expect(answer.status).toBe(404)
    expect(answer.headers.get('x-amzn-errortype')).toBe('ResourceNotFoundException')
  })

  test('is taken before the rule exists, and holds when it is created', async () => {
    const { url, store } = await startServer()
    const delivery = { defaults: { externalId: 'agreed' } }
    const path = `${url}/v1/rules/later/delivery`
    const answer = await fetch(path, { method: 'PUT', body: JSON.stringify(delivery) })
    expect([answer.status, await answer.json()]).toEqual([200, delivery])
    expect(await (await fetch(path)).json()).toEqual(delivery)
    await store.create('later', payloadOf(), {})
    expect(store.get('later').delivery).toEqual(delivery)
  })
})
