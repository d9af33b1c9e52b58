import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RuleStore } from '../../src/rules/rule-store.ts'
import { openStore, payloadOf, temporaryFolder } from './rule-fixtures.ts'

/**
 * Everyone who writes rule files: the API, editors, and other engines on the same folder. Nothing
 * that one of them wrote is written over by another that has not seen it.
 */

const text = (value: unknown): string => JSON.stringify(value)
const marked = (description: string, ruleDisabled = false) =>
  payloadOf('a', { description, ruleDisabled })

/** As editors do it: in one step. */
function edit(directory: string, file: string, content: string): void {
  writeFileSync(path.join(directory, `${file}~`), content)
  renameSync(path.join(directory, `${file}~`), path.join(directory, file))
}

/** Each write is flushed, which takes its time on a busy disk. */
const patiently = { timeout: 120_000 }
const conflict = { code: 'ConflictingResourceUpdateException' }

async function openWithRule() {
  const opened = await openStore()
  await opened.store.create('r', marked('first'), { team: 'plant' })
  const file = path.join(opened.directory, 'r.json')
  return { ...opened, read: async (): Promise<unknown> => JSON.parse(await readFile(file, 'utf8')) }
}

describe('a file that was edited and not yet reloaded', () => {
  test.each([true, false])('keeps the edit when the rule is disabled: %s', async (disabled) => {
    const { store, directory, read } = await openWithRule()
    edit(directory, 'r.json', text(marked('edited', !disabled)))
    await store.setDisabled('r', disabled)
    expect(await read()).toMatchObject({ description: 'edited', ruleDisabled: disabled })
    expect(store.get('r').payload.description).toBe('edited')
  })

  test('is not replaced, but in force, so that the next request may replace it', async () => {
    const { store, directory, read } = await openWithRule()
    edit(directory, 'r.json', text(marked('edited')))
    await expect(store.replace('r', marked('second'))).rejects.toMatchObject(conflict)
    expect(store.get('r').payload.description).toBe('edited')
    await store.replace('r', marked('second'))
    expect(await read()).toMatchObject({ description: 'second' })
  })

  test('is not deleted, but in force, so that the next request may delete it', async () => {
    const { store, directory } = await openWithRule()
    edit(directory, 'r.json', text(marked('edited')))
    await expect(store.delete('r')).rejects.toMatchObject(conflict)
    await store.delete('r')
    expect(await readdir(directory)).toEqual([])
  })

  test('is gone for the API when somebody removed it', async () => {
    const { store, directory } = await openWithRule()
    rmSync(path.join(directory, 'r.json'))
    await expect(store.setDisabled('r', true)).rejects.toMatchObject({
      code: 'UnauthorizedException',
    })
    expect(await readdir(directory)).toEqual(['r.meta.json'])
  })

  test('keeps tags, delivery settings and what is not known of its metadata', async () => {
    const { store, directory } = await openWithRule()
    const metadata = { createdAt: 7, tags: { edited: 'yes' }, more: [1] }
    edit(directory, 'r.meta.json', text(metadata))
    await store.setTags('r', (tags) => ({ ...tags, added: 'too' }))
    const kept: unknown = JSON.parse(await readFile(path.join(directory, 'r.meta.json'), 'utf8'))
    expect(kept).toEqual({ ...metadata, tags: { edited: 'yes', added: 'too' } })

    const delivery = { defaults: { ordering: 'strict' as const } }
    edit(directory, 'r.meta.json', text({ ...metadata, delivery }))
    await expect(store.setDelivery('r', {})).rejects.toMatchObject(conflict)
    expect(store.get('r').delivery).toEqual(delivery)
    await store.setDelivery('r', {})
    expect(store.get('r').delivery).toEqual({})
  })
})

describe('a file that cannot be used', () => {
  const requests: Readonly<Record<string, (store: RuleStore) => Promise<unknown>>> = {
    create: (store) => store.create('new', marked('second'), {}),
    replace: (store) => store.replace('r', marked('second')),
    enable: (store) => store.setDisabled('r', false),
    tags: (store) => store.setTags('r', () => ({})),
    delivery: (store) => store.setDelivery('r', {}),
    delete: (store) => store.delete('r'),
  }

  test.each(Object.entries(requests))('is not written over by %s', async (name, request) => {
    const { store, directory } = await openWithRule()
    const file = name === 'create' ? 'new.json' : 'r.json'
    edit(directory, file, '{ "half": ')
    await expect(request(store)).rejects.toMatchObject({
      ...conflict,
      message: expect.stringMatching(name === 'delete' ? /changed/ : /not a JSON.*mend/) as string,
    })
    expect(readFileSync(path.join(directory, file), 'utf8')).toBe('{ "half": ')
    expect(store.get('r').payload.description).toBe('first')
    expect(store.invalidCount()).toBe(1)
  })

  test('is deleted with its rule once it has been told', async () => {
    const { store, directory } = await openWithRule()
    edit(directory, 'r.json', '{')
    await expect(store.delete('r')).rejects.toMatchObject(conflict)
    await store.delete('r')
    expect([await readdir(directory), store.all()]).toEqual([[], []])
  })

  test('is no regular file, and answered as such', async () => {
    const { store, directory } = await openWithRule()
    await mkdir(path.join(directory, 'new.json'))
    await expect(store.create('new', marked('x'), {})).rejects.toMatchObject({
      ...conflict,
      message: expect.stringMatching(/^new\.json: is not a regular file: mend/) as string,
    })
  })
})

test('a rule that was laid on disk and not yet loaded is not created over', async () => {
  const { store, directory } = await openStore()
  edit(directory, 'r.json', text(marked('laid')))
  await expect(store.create('r', marked('new'), {})).rejects.toMatchObject({
    code: 'ResourceAlreadyExistsException',
  })
  expect(store.get('r').payload.description).toBe('laid')
})

test('metadata laid before their rule are kept where they are not of the rule itself', async () => {
  const { store, directory } = await openStore()
  const delivery = { defaults: { ordering: 'strict' as const } }
  await writeFile(path.join(directory, 'r.meta.json'), text({ delivery, more: 1 }))
  await store.create('r', marked('new'), { a: 'b' })
  const kept: unknown = JSON.parse(await readFile(path.join(directory, 'r.meta.json'), 'utf8'))
  expect(kept).toMatchObject({ delivery, more: 1, tags: { a: 'b' } })
  expect(store.get('r').delivery).toEqual(delivery)
})

const requestKinds = ['create', 'replace', 'enable', 'disable', 'tag', 'delete'] as const
const editKinds = ['edit', 'damage', 'remove', 'editTags'] as const
type Request = (typeof requestKinds)[number]
type Edit = (typeof editKinds)[number]

/** One step of the property: who does what. */
const step = fc.oneof(
  fc.record({ edit: fc.constantFrom(...editKinds) }),
  fc.record({ request: fc.constantFrom(...requestKinds), engine: fc.constantFrom(0, 1) }),
)

function act(store: RuleStore, request: Request, mark: string): Promise<unknown> {
  const calls = {
    create: () => store.create('r', marked(mark), {}),
    replace: () => store.replace('r', marked(mark)),
    enable: () => store.setDisabled('r', false),
    disable: () => store.setDisabled('r', true),
    tag: () => store.setTags('r', (tags) => ({ ...tags, [mark]: 'api' })),
    delete: () => store.delete('r'),
  }
  return calls[request]()
}

interface OnDisk {
  /** The mark of the payload, or the text itself when it is none; undefined without a file. */
  readonly mark: string | undefined
  readonly tags: Readonly<Record<string, string>>
}

function readOr<Result>(read: () => Result, otherwise: Result): Result {
  try {
    return read()
  } catch {
    return otherwise
  }
}

function lookAt(directory: string): OnDisk {
  const read = (file: string) => readFileSync(path.join(directory, file), 'utf8')
  const payload = readOr(() => read('r.json'), undefined)
  const metadata = readOr(() => JSON.parse(read('r.meta.json')) as Partial<OnDisk>, {})
  const mark = payload?.startsWith('{')
    ? (JSON.parse(payload) as { description: string }).description
    : payload
  return { mark, tags: metadata.tags ?? {} }
}

const isDamaged = (mark: string | undefined) => mark?.startsWith('damaged') === true

function editAs(kind: Edit, directory: string, mark: string): void {
  if (kind === 'edit') edit(directory, 'r.json', text(marked(mark)))
  if (kind === 'damage') edit(directory, 'r.json', `damaged ${mark}`)
  if (kind === 'remove') rmSync(path.join(directory, 'r.json'), { force: true })
  if (kind === 'editTags') {
    const tags = { ...lookAt(directory).tags, [mark]: 'edited' }
    edit(directory, 'r.meta.json', text({ createdAt: 1, tags }))
  }
}

/** Sends a request. @returns what on disk is not as it should be after it */
async function problemsOf(
  directory: string,
  store: RuleStore,
  request: Request,
  mark: string,
): Promise<readonly string[]> {
  const before = lookAt(directory)
  const seen = store.byName('r')?.payload.description
  const isDone = await act(store, request, mark).then(
    () => true,
    () => false,
  )
  const after = lookAt(directory)
  const mayGo = before.mark === undefined || before.mark === seen || isDamaged(before.mark)
  const expected = {
    create: { mark, isAllowed: before.mark === undefined },
    replace: { mark, isAllowed: before.mark === seen },
    delete: { mark: after.mark, isAllowed: after.mark === before.mark || mayGo },
    enable: { mark: before.mark, isAllowed: !isDamaged(before.mark) },
    disable: { mark: before.mark, isAllowed: !isDamaged(before.mark) },
    tag: { mark: before.mark, isAllowed: !isDamaged(before.mark) },
  }[request]
  const tags = request === 'tag' && isDone ? { ...before.tags, [mark]: 'api' } : before.tags
  const inForce = store.byName('r')?.payload.description
  const told = `${request}: ${text({ before, seen, after, isDone, inForce })}`
  const faults = [
    isDone && !expected.isAllowed && 'done unseen',
    after.mark !== (isDone ? expected.mark : before.mark) && 'another payload',
    isDone &&
      !['create', 'delete'].includes(request) &&
      text(after.tags) !== text(tags) &&
      'lost tags',
    after.mark !== undefined && !isDamaged(after.mark) && inForce !== after.mark && 'not in force',
  ]
  return faults.filter((fault) => fault !== false).map((fault) => `${fault}: ${told}`)
}

async function openTwo() {
  const directory = await temporaryFolder()
  const [first, second] = [await openStore({ directory }), await openStore({ directory })]
  return { directory, engines: [first.store, second.store] as const }
}

test('no writer of rules undoes what it has not seen: one after the other', patiently, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
      const { directory, engines } = await openTwo()
      const problems: string[] = []
      for (const [index, each] of steps.entries()) {
        const mark = `m${index}`
        if ('edit' in each) editAs(each.edit, directory, mark)
        else {
          const store = each.engine === 0 ? engines[0] : engines[1]
          problems.push(...(await problemsOf(directory, store, each.request, mark)))
        }
      }
      for (const engine of engines) await engine.close()
      expect(problems).toEqual([])
      expect((await readdir(directory)).filter((file) => file.startsWith('.'))).toEqual([])
    }),
    { numRuns: 60, seed: 27 },
  )
})

test('no writer of rules undoes what it has not seen: at the same time', patiently, async () => {
  const race = fc.record({
    requests: fc.array(
      fc.record({
        request: fc.constantFrom('replace', 'enable', 'disable', 'tag', 'delete'),
        engine: fc.constantFrom(0, 1),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    /** Turns of the event loop before the edit. */
    turns: fc.integer({ min: 0, max: 60 }),
    kind: fc.constantFrom('edit', 'damage', 'editTags'),
  })
  await fc.assert(
    fc.asyncProperty(race, async ({ requests, turns, kind }) => {
      const { directory, engines } = await openTwo()
      await engines[0].create('r', marked('first'), {})
      await engines[1].setTags('r', (tags) => tags)
      const running = requests.map(({ request, engine }, index) =>
        act(engine === 0 ? engines[0] : engines[1], request, `m${index}`).catch(() => undefined),
      )
      for (let turn = 0; turn < turns; turn += 1) {
        await new Promise<void>((resolve) => void setImmediate(resolve))
      }
      editAs(kind, directory, 'by hand')
      await Promise.all(running)
      for (const engine of engines) await engine.close()
      // Nobody can have seen the edit before asking, so that it must be there.
      const { mark, tags } = lookAt(directory)
      const isKept = {
        edit: mark === 'by hand',
        damage: mark === 'damaged by hand',
        editTags: mark === undefined || tags['by hand'] === 'edited',
      }[kind]
      expect({ mark, tags, isKept }).toMatchObject({ isKept: true })
    }),
    { numRuns: 80, seed: 28 },
  )
})
