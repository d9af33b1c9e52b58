import { rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { openStore, payloadOf, temporaryFolder } from './rule-fixtures.ts'

const held = (name: string, topic: string, more: object = {}) => ({
  name,
  payload: payloadOf(topic),
  tags: {},
  origin: `${name} of t.yaml`,
  ...more,
})
const names = (rules: readonly { readonly name: string }[]) => rules.map(({ name }) => name)

test('rules without a file come into force, change and go', async () => {
  const { store } = await openStore()

  expect(store.hold([held('a', 'x/1'), held('b', 'x/+', { tags: { k: 'v' } })])).toEqual({
    changed: ['a', 'b'],
    removed: [],
    problems: [],
  })
  expect(names(store.match('x/1'))).toEqual(['a', 'b'])
  expect(store.get('b').tags).toEqual({ k: 'v' })
  const before = store.byName('b')

  const { changed, removed } = store.hold([
    held('b', 'x/+', { tags: { k: 'v' } }),
    held('c', 'x/1'),
  ])

  expect([changed, removed]).toEqual([['c'], ['a']])
  expect(names(store.match('x/1'))).toEqual(['b', 'c'])
  expect(store.byName('b')).toBe(before)
  store.hold([])
  expect(store.all()).toEqual([])
})

test('a rule that cannot be used keeps its last good version, or is left out', async () => {
  const { store } = await openStore({ rulesMax: 2 })
  store.hold([held('a', 'x/1')])
  const good = store.byName('a')
  const { problems } = store.hold([
    held('a', 'x/1', { payload: { sql: 'SELEC', actions: [] } }),
    held('b-c', 'x/1'),
    held('d', 'x/1'),
    held('e', 'x/1'),
  ])

  expect(problems).toMatchObject([
    { name: 'a', isKept: true, origin: 'a of t.yaml' },
    { name: 'b-c', isKept: false, text: 'a rule is named by 1 to 128 letters, digits and _' },
    { name: 'e', isKept: false, text: expect.stringContaining('SLUICE_RULES_MAX') },
  ])
  expect(store.byName('a')).toBe(good)
  expect(names(store.all())).toEqual(['a', 'd'])
  expect(store.hold([held('a', 'x/2')]).changed).toEqual(['a'])
  expect(names(store.match('x/2'))).toEqual(['a'])
})

test('the API shows them and does not change them', async () => {
  const { store } = await openStore()
  store.hold([held('a', 'x/1')])
  const refused = {
    code: 'ConflictingResourceUpdateException',
    message: 'rule a is held by a of t.yaml: change it there',
  }

  await expect(store.replace('a', payloadOf('x/2'))).rejects.toMatchObject(refused)
  await expect(store.setDisabled('a', true)).rejects.toMatchObject(refused)
  await expect(store.setTags('a', () => ({}))).rejects.toMatchObject(refused)
  await expect(store.setDelivery('a', {})).rejects.toMatchObject(refused)
  await expect(store.delete('a')).rejects.toMatchObject(refused)
  await expect(store.create('a', payloadOf('x/2'), {})).rejects.toMatchObject({
    code: 'ResourceAlreadyExistsException',
  })
  expect(names(store.list({ maxResults: 10 }).rules)).toEqual(['a'])
})

test('a rule of the folder comes before one of the same name', async () => {
  const directory = await temporaryFolder()
  const file = path.join(directory, 'a.json')
  const { store, logLine } = await openStore({ directory, watch: true })
  store.hold([held('a', 'x/held')])
  await writeFile(file, JSON.stringify(payloadOf('x/file')))
  await logLine(/is in force, and not a of t\.yaml/)

  expect(names(store.match('x/file'))).toEqual(['a'])
  expect(store.match('x/held')).toEqual([])

  await store.setDisabled('a', true)
  expect(store.byName('a')?.disabled).toBe(true)
  await rm(file)
  await logLine(/rule a was removed on disk/)

  expect(names(store.match('x/held'))).toEqual(['a'])
})
