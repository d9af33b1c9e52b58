import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { openStore, payloadOf, temporaryFolder } from './rule-fixtures.ts'

const json = (value: unknown): string => JSON.stringify(value)
const names = (rules: readonly { name: string }[]): string[] => rules.map((rule) => rule.name)

async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await temporaryFolder()
  for (const [name, text] of Object.entries(files)) {
    await writeFile(path.join(directory, name), text)
  }
  return directory
}

async function folders() {
  return { directory: await temporaryFolder(), lastGoodFolder: await temporaryFolder() }
}

describe('a file in the rules folder that is not regular', () => {
  const kinds: Readonly<Record<string, (file: string) => unknown>> = {
    'a named pipe': (file) => execFileSync('mkfifo', [file]),
    'a link to a named pipe': (file) => {
      execFileSync('mkfifo', [`${file}.pipe`])
      return symlink(`${file}.pipe`, file)
    },
    'a link to a device': (file) => symlink('/dev/zero', file),
    'a folder': (file) => mkdir(file),
  }
  const places = ['r.json', 'r.meta.json']
  const rows = Object.keys(kinds).flatMap((kind) => places.map((place) => [kind, place] as const))

  test.each(rows)('%s as %s does not hang the start, and is named', async (kind, place) => {
    const directory = await folderWith({ 'good.json': json(payloadOf('a')) })
    if (place === 'r.meta.json') await writeFile(path.join(directory, 'r.json'), json(payloadOf()))
    await kinds[kind]?.(path.join(directory, place))
    await expect(openStore({ directory })).rejects.toMatchObject({
      code: 'RuleFileInvalid',
      message: `${path.join(directory, place)}: is not a regular file`,
    })
    const { store } = await openStore({ directory, onInvalid: 'leaveOut' })
    expect(names(store.all())).toEqual(['good'])
    expect(store.invalidCount()).toBe(1)
  })

  test('is read up to its bound, also where the system says that it is empty', async () => {
    const directory = await folderWith({})
    await symlink('/proc/self/maps', path.join(directory, 'r.json'))
    await expect(openStore({ directory })).rejects.toThrow(/r\.json: not a JSON document/)
  })

  test('while running leaves the last good version in force', async () => {
    const { store, directory, logLine } = await openStore({ watch: true })
    await store.create('r', payloadOf('a'), {})
    await rm(path.join(directory, 'r.json'))
    execFileSync('mkfifo', [path.join(directory, 'r.json')])
    await logLine(/rule r .* \(its last good version .*\): r\.json: is not a regular file$/)
    expect(names(store.match('a'))).toEqual(['r'])
    expect(store.invalidCount()).toBe(1)
  })
})

describe('a start with files that cannot be used', () => {
  const files = {
    'good.json': json(payloadOf('a')),
    'no_json.json': '{',
    'sql.json': json(payloadOf('a', { sql: 'SELEC' })),
    'two.json': json({ sql: 'x' }),
    'two.meta.json': json({ tags: { a: 1 } }),
  }

  test('names all faults of all files, one line for each rule', async () => {
    const directory = await folderWith(files)
    const thrown: unknown = await openStore({ directory }).catch((error: unknown) => error)
    expect(thrown).toMatchObject({ code: 'RuleFileInvalid' })
    const lines = (thrown as Error).message.split('\n').map((line) => line.trim())
    const inFolder = (text: string) => expect.stringContaining(path.join(directory, text)) as string
    expect(lines).toEqual([
      '3 rules cannot be used:',
      inFolder('no_json.json: not a JSON document'),
      inFolder('sql.json: '),
      inFolder(
        'two.meta.json: tags.a must be a string; two.json: SqlParseException: sql: expected SELECT, ' +
          "found 'x' (line 1, column 1); InvalidRequestException: actions is missing",
      ),
    ])
  })

  test('bounds the list', async () => {
    const bad = Object.fromEntries(Array.from({ length: 130 }, (_, n) => [`r${n}.json`, '{']))
    const directory = await folderWith(bad)
    await expect(openStore({ directory })).rejects.toThrow(/\n {2}and 30 more$/)
  })

  test('leaves them out where that is wanted, each with an error, until they are mended', async () => {
    const directory = await folderWith(files)
    const { store, logged, logLine } = await openStore({
      directory,
      onInvalid: 'leaveOut',
      watch: true,
    })
    expect(names(store.all())).toEqual(['good'])
    expect(store.invalidCount()).toBe(3)
    expect(logged.filter((line) => line.includes('is left out: '))).toHaveLength(3)

    await writeFile(path.join(directory, 'sql.json'), json(payloadOf('b')))
    await rm(path.join(directory, 'no_json.json'))
    await logLine(/^rule sql was changed on disk$/)
    await writeFile(path.join(directory, 'two.meta.json'), '{}')
    await writeFile(path.join(directory, 'two.json'), json(payloadOf('c')))
    await logLine(/^rule two was changed on disk$/)
    await expect.poll(() => store.invalidCount()).toBe(0)
  })
})

describe('a rule that was good before', () => {
  test.each(['refuse', 'leaveOut'] as const)(
    'runs in its last good version after a restart, and is reported (%s)',
    async (onInvalid) => {
      const options = { ...(await folders()), onInvalid }
      const file = path.join(options.directory, 'r.json')
      const first = await openStore(options)
      await first.store.create('r', payloadOf('one'), { team: 'plant' })
      await first.store.replace('r', payloadOf('two'))
      const before = first.store.get('r')
      await first.store.close()

      await writeFile(file, '{"sql": "half a ru')
      const { store, logged } = await openStore(options)
      expect(names(store.match('two'))).toEqual(['r'])
      const { createdAt, tags } = before
      expect(store.get('r')).toMatchObject({ createdAt, tags })
      expect(store.invalidCount()).toBe(1)
      expect(logged).toEqual([
        expect.stringMatching(/^rule r runs in its last good version: .*r\.json: not a JSON/),
      ])
      expect(await readFile(file, 'utf8')).toBe('{"sql": "half a ru')
      await store.close()

      await writeFile(file, json(payloadOf('three')))
      const mended = await openStore(options)
      expect(names(mended.store.match('three'))).toEqual(['r'])
      expect(mended.store.invalidCount()).toBe(0)
    },
  )

  test('does not let a start pass over another rule that never was good', async () => {
    const options = await folders()
    const first = await openStore(options)
    await first.store.create('r', payloadOf('one'), {})
    await first.store.close()
    await writeFile(path.join(options.directory, 'r.json'), '{')
    await writeFile(path.join(options.directory, 's.json'), '{')
    await expect(openStore(options)).rejects.toThrow(/^2 rules .*\n.*r\.json: .*\n.*s\.json: /)
  })

  test('has no copy any more when it was deleted, also behind the back of the engine', async () => {
    const options = await folders()
    const first = await openStore(options)
    for (const name of ['r', 's']) await first.store.create(name, payloadOf('one'), {})
    await first.store.delete('r')
    await first.store.close()
    expect(await readdir(options.lastGoodFolder)).toEqual(['s.json'])
    await rm(path.join(options.directory, 's.json'))
    await (await openStore(options)).store.close()
    expect(await readdir(options.lastGoodFolder)).toEqual([])
  })

  test('is taken from its own rules folder only, and from copies that are whole', async () => {
    const options = await folders()
    const first = await openStore(options)
    await first.store.create('r', payloadOf('one'), {})
    await first.store.close()
    const copy = path.join(options.lastGoodFolder, 'r.json')
    expect((await stat(copy)).mode & 0o777).toBe(0o600)

    const directory = await folderWith({ 'r.json': '{' })
    await expect(openStore({ ...options, directory })).rejects.toThrow(/r\.json/)

    await writeFile(path.join(options.directory, 'r.json'), '{')
    await writeFile(copy, (await readFile(copy, 'utf8')).slice(0, 20))
    await expect(openStore(options)).rejects.toThrow(/r\.json/)
  })

  test('is kept in force although the copies cannot be written', async () => {
    const { directory } = await folders()
    const blocked = path.join(await temporaryFolder(), 'file')
    await writeFile(blocked, '')
    const { store, logLine } = await openStore({ directory, lastGoodFolder: blocked })
    await store.create('r', payloadOf('one'), {})
    await logLine(/^the last good version of rule r cannot be kept$/)
    expect(names(store.match('one'))).toEqual(['r'])
  })
})

test.runIf(process.getuid?.() !== 0)(
  'a file that may not be read is a fault of its own',
  async () => {
    const directory = await folderWith({ 'r.json': json(payloadOf()) })
    await chmod(path.join(directory, 'r.json'), 0)
    await expect(openStore({ directory })).rejects.toThrow(/r\.json: EACCES/)
  },
)

test('a rule refused because there were too many comes into force when there is room', async () => {
  const { store, directory, logLine } = await openStore({ watch: true, rulesMax: 2 })
  await store.create('a', payloadOf('a'), {})
  await store.create('b', payloadOf('b'), {})
  await writeFile(path.join(directory, 'c.json'), json(payloadOf('c')))
  await logLine(/^rule c changed on disk .*there are 2 rules already/)
  expect(store.invalidCount()).toBe(1)
  await store.delete('a')
  await logLine(/^rule c was changed on disk$/)
  expect(names(store.all())).toEqual(['b', 'c'])
  expect(store.invalidCount()).toBe(0)
})
