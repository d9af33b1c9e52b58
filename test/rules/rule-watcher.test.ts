import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { openStore, payloadOf, temporaryFolder } from './rule-fixtures.ts'

const json = (value: unknown): string => JSON.stringify(value)
const names = (rules: readonly { name: string }[]): string[] => rules.map((rule) => rule.name)

const openWatched = async () => {
  const opened = await openStore({ watch: true })
  const write = (name: string, text: string) => writeFile(path.join(opened.directory, name), text)
  return { ...opened, write }
}

/** Two folders of rules, as two releases leave them. */
const releases = async () => {
  const parent = await temporaryFolder()
  for (const release of ['one', 'two']) {
    await mkdir(path.join(parent, release, 'rules'), { recursive: true })
    const file = path.join(parent, release, 'rules', `${release}.json`)
    await writeFile(file, json(payloadOf(release)))
  }
  return parent
}

describe('a change on disk', () => {
  test('comes into force: a rule added, changed, given tags, removed', async () => {
    const { store, directory, write, logLine, logged } = await openWatched()
    await write('r.json', json(payloadOf('one')))
    await logLine(/^rule r was changed on disk$/)
    expect(names(store.match('one'))).toEqual(['r'])
    const { createdAt } = store.get('r')

    logged.length = 0
    await write('r.json', json(payloadOf('two')))
    await logLine(/^rule r was changed on disk$/)
    expect([store.match('one'), names(store.match('two'))]).toEqual([[], ['r']])
    expect(store.get('r').createdAt).toBe(createdAt)

    logged.length = 0
    await write('r.meta.json', json({ createdAt: 9, tags: { team: 'plant' } }))
    await logLine(/^rule r was changed on disk$/)
    expect(store.get('r')).toMatchObject({ createdAt: 9, tags: { team: 'plant' } })

    await rm(path.join(directory, 'r.json'))
    await logLine(/^rule r was removed on disk$/)
    expect(store.match('two')).toEqual([])
  })

  test('that is invalid leaves the last good version in force, and is reported', async () => {
    const { store, write, logLine, metrics } = await openWatched()
    await store.create('r', payloadOf('good'), {})
    await write('r.json', json(payloadOf('bad', { sql: 'SELEC' })))
    expect(await logLine(/rule r changed on disk and cannot be used/)).toMatch(
      /\(its last good version stays in force\): r\.json: [^\n]*\(line 1, column 1\)$/,
    )
    expect(names(store.match('good'))).toEqual(['r'])
    expect((await metrics.ruleReloadFailures.get()).values[0]?.value).toBe(1)

    await write('r.json', json(payloadOf('mended')))
    await logLine(/^rule r was changed on disk$/)
    expect(names(store.match('mended'))).toEqual(['r'])
  })

  test('is seen complete although it was written in parts', async () => {
    const { store, write, logLine, metrics } = await openWatched()
    const text = json(payloadOf('whole'))
    await write('r.json', text.slice(0, 10))
    await write('r.json', text)
    await logLine(/^rule r was changed on disk$/)
    expect(names(store.match('whole'))).toEqual(['r'])
    expect((await metrics.ruleReloadFailures.get()).values[0]?.value).toBe(0)
  })

  test('is seen when an editor puts a new file in the place of the old', async () => {
    const { store, directory, write, logLine } = await openWatched()
    await store.create('r', payloadOf('old'), { team: 'plant' })
    const { createdAt } = store.get('r')
    await write('r.json~', json(payloadOf('new')))
    await rm(path.join(directory, 'r.json'))
    await rename(path.join(directory, 'r.json~'), path.join(directory, 'r.json'))
    await logLine(/^rule r was changed on disk$/)
    expect(names(store.match('new'))).toEqual(['r'])
    expect(store.get('r')).toMatchObject({ createdAt, tags: { team: 'plant' } })
  })

  test('is seen where all files hang on one link that is swapped, as Kubernetes mounts them', async () => {
    const directory = await temporaryFolder()
    const release = async (folder: string, filter: string, ...rules: string[]) => {
      await mkdir(path.join(directory, folder))
      for (const name of rules) {
        await writeFile(path.join(directory, folder, `${name}.json`), json(payloadOf(filter)))
      }
      await symlink(folder, path.join(directory, '..new'))
      await rename(path.join(directory, '..new'), path.join(directory, '..data'))
    }
    await release('..1', 'one', 'r', 's')
    for (const name of ['r', 's']) {
      await symlink(`..data/${name}.json`, path.join(directory, `${name}.json`))
    }
    const { store, logLine } = await openStore({ directory, watch: true })
    expect(names(store.match('one'))).toEqual(['r', 's'])
    await release('..2', 'two', 'r')
    await logLine(/^rule r was changed on disk$/)
    await logLine(/^rule s was removed on disk$/)
    expect([names(store.match('two')), store.match('one')]).toEqual([['r'], []])
  })

  test('is seen in a folder that was removed and restored', async () => {
    const { store, directory, write, logLine } = await openWatched()
    await store.create('r', payloadOf('before'), {})
    await rm(directory, { recursive: true })
    await logLine(/^changes of the rules folder are not seen: it was removed or moved$/)
    await logLine(/^rule r was removed on disk$/)
    await mkdir(directory)
    await logLine(/^changes of the rules folder are seen again$/)
    await write('s.json', json(payloadOf('after')))
    await logLine(/^rule s was changed on disk$/)
    expect(names(store.all())).toEqual(['s'])
  })

  const swaps: readonly [
    string,
    (parent: string) => Promise<string>,
    (parent: string) => Promise<void>,
  ][] = [
    [
      'the folder is moved away and another one takes its place',
      async (parent) => {
        await rename(path.join(parent, 'one/rules'), path.join(parent, 'rules'))
        return path.join(parent, 'rules')
      },
      async (parent) => {
        await rename(path.join(parent, 'rules'), path.join(parent, 'old'))
        await rename(path.join(parent, 'two/rules'), path.join(parent, 'rules'))
      },
    ],
    [
      'a folder above it is moved away and another one takes its place',
      async (parent) => path.join(parent, 'one/rules'),
      async (parent) => {
        await rename(path.join(parent, 'one'), path.join(parent, 'old'))
        await rename(path.join(parent, 'two'), path.join(parent, 'one'))
      },
    ],
    [
      'it is a link that is swapped',
      async (parent) => {
        await symlink('one/rules', path.join(parent, 'rules'))
        return path.join(parent, 'rules')
      },
      async (parent) => {
        await symlink('two/rules', path.join(parent, 'new'))
        await rename(path.join(parent, 'new'), path.join(parent, 'rules'))
      },
    ],
    [
      'a link above it is swapped',
      async (parent) => {
        await symlink('one', path.join(parent, 'current'))
        return path.join(parent, 'current/rules')
      },
      async (parent) => {
        await symlink('two', path.join(parent, 'new'))
        await rename(path.join(parent, 'new'), path.join(parent, 'current'))
      },
    ],
  ]

  test.each(swaps)('is seen where %s', async (_how, begin, swap) => {
    const parent = await releases()
    const directory = await begin(parent)
    const { store, logLine } = await openStore({ directory, watch: true })
    expect(names(store.all())).toEqual(['one'])
    await swap(parent)
    await logLine(/^rule two was changed on disk$/)
    await logLine(/^rule one was removed on disk$/)
    expect(names(store.all())).toEqual(['two'])

    await writeFile(path.join(directory, 'three.json'), json(payloadOf('three')))
    await logLine(/^rule three was changed on disk$/)
    expect(names(store.all())).toEqual(['three', 'two'])
  })

  test('is seen in a folder that has the name of one of its files', async () => {
    const directory = path.join(await temporaryFolder(), 'r.json')
    await mkdir(directory)
    const { store, logLine, logged } = await openStore({ directory, watch: true })
    await writeFile(path.join(directory, 'r.json'), json(payloadOf('a')))
    await logLine(/^rule r was changed on disk$/)
    expect(names(store.all())).toEqual(['r'])
    expect(logged.filter((line) => line.includes('not seen'))).toEqual([])
  })

  test('of our own making is not loaded again', async () => {
    const { store, write, logLine, logged } = await openWatched()
    await store.create('r', payloadOf('one'), {})
    await store.replace('r', payloadOf('two'))
    const rule = store.get('r')
    // By the time a later change is seen, ours would have been.
    await write('s.json', json(payloadOf('other')))
    await logLine(/^rule s was changed on disk$/)
    expect(logged.filter((message) => message.includes('rule r'))).toEqual([])
    expect(store.get('r')).toBe(rule)
  })

  test('beyond the number of rules is reported', async () => {
    const { store, directory, logLine } = await openStore({ watch: true, rulesMax: 1 })
    await store.create('a', payloadOf(), {})
    await writeFile(path.join(directory, 'b.json'), json(payloadOf()))
    await logLine(
      /rule b changed on disk and cannot be used \(ignored\): b\.json: there are 1 rules/,
    )
    expect(names(store.all())).toEqual(['a'])
  })
})
