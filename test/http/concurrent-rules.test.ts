import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { paginateListTopicRules } from '@aws-sdk/client-iot'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { payloadOf } from '../rules/rule-fixtures.ts'
import { startServer } from './http-fixtures.ts'
import type { StartedServer } from './http-fixtures.ts'

/** What holds while rules change: of a list, and of one rule that everybody writes. */
const standing = ['0', 'A', 'Z0', 'Za', '_', 'a', 'a0', 'aA', 'z']
const coming = ['00', '9', 'AA', 'Z', 'Z_', '__', 'a_', 'az', 'zz']

async function deleteAll({ store }: StartedServer): Promise<void> {
  for (const rule of store.all()) await store.delete(rule.name)
}

test('a list has each rule that stands all the while once, in order, while others come and go', async () => {
  const server = await startServer()
  const { iot, store } = server
  for (const ruleName of standing) await store.create(ruleName, payloadOf(), {})
  const change = async (ruleName: string) => {
    if (store.byName(ruleName)) await store.delete(ruleName)
    else await store.create(ruleName, payloadOf(), {})
  }
  const changes = fc.array(fc.uniqueArray(fc.constantFrom(...coming), { maxLength: 4 }), {
    minLength: 1,
    maxLength: 6,
  })
  await fc.assert(
    fc.asyncProperty(changes, fc.integer({ min: 1, max: 4 }), async (changing, pageSize) => {
      const listed: string[] = []
      let page = 0
      // While a page is asked for, and between two.
      let changed = Promise.all((changing[page] ?? []).map(change))
      for await (const { rules = [] } of paginateListTopicRules({ client: iot, pageSize }, {})) {
        expect(rules.length).toBeLessThanOrEqual(pageSize)
        listed.push(...rules.map(({ ruleName = '' }) => ruleName))
        await changed
        page++
        changed = Promise.all((changing[page % changing.length] ?? []).map(change))
      }
      await changed
      expect(listed).toEqual([...new Set(listed)].toSorted())
      expect(listed.filter((ruleName) => standing.includes(ruleName))).toEqual(standing)
    }),
    { numRuns: 8 },
  )
})

const writeCount = 50
/** Of very different lengths: a file that is part one and part another would be seen. */
const sqlOf = (index: number) =>
  `SELECT ${index} AS number, '${'x'.repeat(index * 20)}' AS x FROM 'a'`

async function expectOneRule({ url, store }: StartedServer, text: string): Promise<void> {
  const file = JSON.parse(text) as { sql: string; description: string; ruleDisabled: boolean }
  expect(file.sql).toBe(sqlOf(Number(file.description)))
  expect(store.get('one').payload).toEqual(file)
  expect(store.match('a')).toHaveLength(file.ruleDisabled ? 0 : 1)
  const answer = await fetch(`${url}/v1/evaluate`, {
    method: 'POST',
    body: '{"ruleName": "one", "message": {"topic": "a", "payload": {}}}',
  })
  expect(await answer.json()).toMatchObject({ output: { number: Number(file.description) } })
}

const write = fc.constantFrom('POST', 'PATCH', 'DELETE', 'enable', 'disable')

test('fifty writes to one rule at once end in one of them, whole', async () => {
  const server = await startServer()
  const { url, store, directory } = server
  const send = async (kind: string, index: number) => {
    const isVerb = kind === 'enable' || kind === 'disable'
    const body = JSON.stringify({ sql: sqlOf(index), actions: [], description: `${index}` })
    const answer = await fetch(`${url}/rules/one${isVerb ? `/${kind}` : ''}`, {
      method: isVerb ? 'POST' : kind,
      ...(kind === 'POST' || kind === 'PATCH' ? { body } : {}),
    })
    await answer.arrayBuffer()
    return answer.status
  }
  const fileOf = () => readFile(path.join(directory, 'one.json'), 'utf8').catch(() => undefined)
  const writes = fc.array(write, { minLength: writeCount, maxLength: writeCount })

  await fc.assert(
    fc.asyncProperty(writes, fc.boolean(), async (kinds, isThere) => {
      await deleteAll(server)
      if (isThere) await send('POST', 0)
      const statuses = await Promise.all(kinds.map((kind, index) => send(kind, index + 1)))
      // Done; not there; there already, or too many wait.
      expect(statuses.filter((status) => ![200, 401, 409].includes(status))).toEqual([])

      const text = await fileOf()
      expect(store.all().map((rule) => rule.name)).toEqual(text === undefined ? [] : ['one'])
      if (text !== undefined) await expectOneRule(server, text)
    }),
    { numRuns: 8 },
  )
})
