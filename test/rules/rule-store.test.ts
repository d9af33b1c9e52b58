import { mkdir, readFile, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { openStore, payloadOf, temporaryFolder } from './rule-fixtures.ts'

const clockAt = (epochMs: number): Clock => ({ ...systemClock, wallMs: () => epochMs })
const json = (value: unknown): string => JSON.stringify(value)
const names = (rules: readonly { name: string }[]): string[] => rules.map((rule) => rule.name)

describe('an opened rule store', () => {
  test('holds the rules of the folder, wrapped or not, and ignores other files', async () => {
    const directory = await temporaryFolder()
    const files = {
      'plain.json': json(payloadOf('a/b')),
      'wrapped.json': json({ topicRulePayload: payloadOf('a/+') }),
      'ingest_only.json': json(payloadOf(undefined, { sql: 'SELECT *' })),
      'off.json': json(payloadOf('a/b', { ruleDisabled: true })),
      'plain.meta.json': json({ createdAt: 1_500_000_000, tags: { team: 'plant' } }),
      'plain.test.json': 'no rule',
      'not-a-name.json': 'no rule',
      'README.md': 'no rule',
      '.plain.json.tmp': 'half a ru',
    }
    for (const [name, text] of Object.entries(files)) {
      await writeFile(path.join(directory, name), text)
    }
    const { store, metrics } = await openStore({ directory })

    expect(names(store.all())).toEqual(['ingest_only', 'off', 'plain', 'wrapped'])
    expect(names(store.match('a/b'))).toEqual(['plain', 'wrapped'])
    expect(store.byName('plain')).toMatchObject({
      arn: 'arn:aws:iot:eu-central-1:123456789012:rule/plain',
      createdAt: 1_500_000_000,
      tags: { team: 'plant' },
      disabled: false,
    })
    expect(store.byName('off')?.disabled).toBe(true)
    expect(store.byName('absent')).toBeUndefined()
    const gauge = await metrics.rules.get()
    expect(gauge.values.map(({ labels, value }) => [labels.state, value])).toEqual([
      ['enabled', 3],
      ['disabled', 1],
    ])
  })

  test('takes createdAt from the file for a rule without metadata', async () => {
    const directory = await temporaryFolder()
    const file = path.join(directory, 'r.json')
    await writeFile(file, json(payloadOf()))
    const { birthtimeMs } = await stat(file)
    await utimes(file, 1_000, 1_000)
    const { store } = await openStore({ directory })
    expect(store.get('r').createdAt).toBe(Math.floor(birthtimeMs / 1_000))
  })

  test.each([
    ['bad.json', '{', /bad\.json: not a JSON document/],
    ['bad.json', json({ sql: "SELECT * FROM 'a'" }), /bad\.json: actions is missing$/],
    ['bad.json', json(payloadOf('a', { sql: 'SELEC' })), /bad\.json: [^\n]*\(line 1, column 1\)$/],
    ['good.meta.json', json({ tags: { a: 1 } }), /good\.meta\.json: tags\.a must be a string$/],
    ['bad.json', 'x'.repeat(600_000), /bad\.json: has 600000 bytes; at most 524288/],
  ])('does not open over a bad %s', async (name, text, message) => {
    const directory = await temporaryFolder()
    await writeFile(path.join(directory, 'good.json'), json(payloadOf()))
    await writeFile(path.join(directory, name), text)
    const opening = openStore({ directory })
    await expect(opening).rejects.toMatchObject({ code: 'RuleFileInvalid' })
    await expect(opening).rejects.toThrow(message)
    await expect(opening).rejects.toThrow(path.join(directory, name))
  })

  test('does not open over a rule that cannot be read, or too many of them', async () => {
    const directory = await temporaryFolder()
    await mkdir(path.join(directory, 'folder.json'))
    await expect(openStore({ directory })).rejects.toMatchObject({
      code: 'RuleFileInvalid',
      message: expect.stringMatching(/folder\.json: is not a regular file/) as string,
    })
    await rm(path.join(directory, 'folder.json'), { recursive: true })
    for (const name of ['a', 'b']) {
      await writeFile(path.join(directory, `${name}.json`), json(payloadOf()))
    }
    await expect(openStore({ directory, rulesMax: 1 })).rejects.toThrow(
      / holds 2 rules; SLUICE_RULES_MAX allows 1$/,
    )
  })

  test('makes an absent folder, with the sample that it is given', async () => {
    const parent = await temporaryFolder()
    const text = `${json(payloadOf('s'))}\n`
    const sample = { name: 'sample', text }
    const { store, directory } = await openStore({ directory: path.join(parent, 'x/y'), sample })
    expect(names(store.match('s'))).toEqual(['sample'])
    expect(await readFile(path.join(directory, 'sample.json'), 'utf8')).toBe(text)
    // A folder that is there, though empty, is the operator's.
    await store.delete('sample')
    const again = await openStore({ directory, sample })
    expect(again.store.all()).toEqual([])
  })

  test('reports a folder that cannot be made', async () => {
    const parent = await temporaryFolder()
    await writeFile(path.join(parent, 'file'), '')
    await expect(openStore({ directory: path.join(parent, 'file/rules') })).rejects.toMatchObject({
      code: 'RuleFileInvalid',
      message: expect.stringMatching(/cannot be made: ENOTDIR/) as string,
    })
  })
})

describe('create', () => {
  test('puts payload and metadata on disk and the rule in force', async () => {
    const { store, directory } = await openStore({ clock: clockAt(1_700_000_000_999) })
    const created = store.create('r', payloadOf('a/b'), { team: 'plant' })
    expect(store.match('a/b')).toEqual([])
    const rule = await created
    expect(store.match('a/b')).toEqual([rule])
    expect(rule).toMatchObject({ name: 'r', createdAt: 1_700_000_000, tags: { team: 'plant' } })
    expect((await readdir(directory)).toSorted()).toEqual(['r.json', 'r.meta.json'])
    expect(JSON.parse(await readFile(path.join(directory, 'r.json'), 'utf8'))).toEqual(
      payloadOf('a/b'),
    )
    const reopened = await openStore({ directory })
    expect(json(reopened.store.get('r'))).toBe(json(rule))
  })

  test('refuses a name that is taken, also by a create under way', async () => {
    const { store } = await openStore()
    const results = await Promise.allSettled([
      store.create('r', payloadOf('first'), {}),
      store.create('r', payloadOf('second'), {}),
    ])
    expect(results[0].status).toBe('fulfilled')
    expect(results[1]).toMatchObject({
      reason: {
        code: 'ResourceAlreadyExistsException',
        details: {
          resourceId: 'r',
          resourceArn: 'arn:aws:iot:eu-central-1:123456789012:rule/r',
        },
      },
    })
    expect(names(store.match('first'))).toEqual(['r'])
  })

  test('stores nothing when a statement is refused', async () => {
    const { store, directory } = await openStore()
    const refused = store.create('r', payloadOf('a', { sql: 'SELEC' }), {})
    await expect(refused).rejects.toMatchObject({ code: 'SqlParseException' })
    expect(await readdir(directory)).toEqual([])
  })

  test('keeps the bound on rules, also for requests at once', async () => {
    const { store } = await openStore({ rulesMax: 2 })
    const results = await Promise.allSettled(
      ['a', 'b', 'c', 'd'].map((name) => store.create(name, payloadOf(), {})),
    )
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(2)
    await expect(store.create('e', payloadOf(), {})).rejects.toMatchObject({
      code: 'InvalidRequestException',
      message: 'there are 2 rules already, as many as SLUICE_RULES_MAX allows',
    })
    for (const name of ['a', 'b', 'c', 'd']) await store.delete(name)
    await store.create('e', payloadOf(), {})
  })

  test('takes over the metadata that a crash left behind', async () => {
    const directory = await temporaryFolder()
    await writeFile(path.join(directory, 'r.meta.json'), json({ createdAt: 1, tags: { old: '1' } }))
    const { store } = await openStore({ directory, clock: clockAt(5_000) })
    expect(store.all()).toEqual([])
    await store.create('r', payloadOf(), {})
    const reopened = await openStore({ directory })
    expect(reopened.store.get('r')).toMatchObject({ createdAt: 5, tags: {} })
  })

  test('says that the folder cannot be written, and stays as it was', async () => {
    const { store, directory } = await openStore()
    await rm(directory, { recursive: true })
    await expect(store.create('r', payloadOf(), {})).rejects.toMatchObject({
      code: 'InternalException',
    })
    expect(store.byName('r')).toBeUndefined()
    await mkdir(directory)
    await store.create('r', payloadOf(), {})
  })

  test('takes names of 128 characters', async () => {
    const name = 'n'.repeat(128)
    const { store, directory } = await openStore()
    await store.create(name, payloadOf(), {})
    await store.setDisabled(name, true)
    const reopened = await openStore({ directory })
    expect(reopened.store.get(name).disabled).toBe(true)
  })
})

describe('replace, setDisabled and delete', () => {
  test('change what is requested, and keep createdAt, tags and other metadata', async () => {
    const directory = await temporaryFolder()
    const metadata = { createdAt: 7, tags: { a: 'b' }, unknown: { kept: true } }
    await writeFile(path.join(directory, 'r.json'), json(payloadOf('old')))
    await writeFile(path.join(directory, 'r.meta.json'), json(metadata))
    const { store } = await openStore({ directory })

    await store.replace('r', payloadOf('new', { description: 'second' }))
    expect([store.match('old'), names(store.match('new'))]).toEqual([[], ['r']])
    await store.setDisabled('r', true)
    expect(store.match('new')).toEqual([])
    expect(store.get('r')).toMatchObject({
      disabled: true,
      createdAt: 7,
      tags: { a: 'b' },
      payload: { description: 'second', ruleDisabled: true },
    })
    const kept: unknown = JSON.parse(await readFile(path.join(directory, 'r.meta.json'), 'utf8'))
    expect(kept).toEqual(metadata)
    await store.setDisabled('r', false)
    expect(names(store.match('new'))).toEqual(['r'])
    await store.delete('r')
    expect(store.match('new')).toEqual([])
    expect(await readdir(directory)).toEqual([])
  })

  test('writes createdAt down before the file that it came from is replaced', async () => {
    const directory = await temporaryFolder()
    await writeFile(path.join(directory, 'r.json'), json(payloadOf('old')))
    const { store } = await openStore({ directory })
    const { createdAt } = store.get('r')
    await store.replace('r', payloadOf('new'))
    const meta: unknown = JSON.parse(await readFile(path.join(directory, 'r.meta.json'), 'utf8'))
    expect(meta).toEqual({ createdAt })
  })

  test('leave the tests of a deleted rule where they are', async () => {
    const { store, directory } = await openStore()
    await store.create('r', payloadOf(), {})
    await writeFile(path.join(directory, 'r.test.json'), '[]')
    await store.delete('r')
    expect(await readdir(directory)).toEqual(['r.test.json'])
  })

  test('answer for an unknown rule as AWS does', async () => {
    const { store } = await openStore()
    const denied = {
      code: 'UnauthorizedException',
      message: "Access to topic rule 'x' was denied",
    }
    expect(() => store.get('x')).toThrow(expect.objectContaining(denied) as Error)
    await expect(store.replace('x', payloadOf())).rejects.toMatchObject(denied)
    await expect(store.setDisabled('x', true)).rejects.toMatchObject(denied)
    await expect(store.delete('x')).resolves.toBeUndefined()
  })

  test('run one after the other for one rule, and a bounded number waits', async () => {
    const { store } = await openStore()
    await store.create('r', payloadOf('0'), {})
    const updates = Array.from({ length: 17 }, (_, number) =>
      store.replace('r', payloadOf(`t/${number}`)),
    )
    const refused = store.replace('r', payloadOf('late'))
    await expect(refused).rejects.toMatchObject({ code: 'ConflictingResourceUpdateException' })
    await Promise.all([...updates, store.create('other', payloadOf(), {})])
    expect(names(store.match('t/16'))).toEqual(['r'])
    expect(store.match('t/15')).toEqual([])
  })
})

describe('a thousand rules', () => {
  test('are read, and one of them is found, within the time', async () => {
    const directory = await temporaryFolder()
    const writes = Array.from({ length: 1_000 }, (_, number) =>
      writeFile(path.join(directory, `r${number}.json`), json(payloadOf(`site/${number}/#`))),
    )
    await Promise.all(writes)
    const { store } = await openStore({ directory })
    expect(store.all()).toHaveLength(1_000)
    expect(names(store.match('site/77/x'))).toEqual(['r77'])
  })
})
