import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { openDataFolder } from '../../src/storage/data-folder.ts'
import { checkFolderOwner } from '../../src/storage/folder-format.ts'
import type { FolderOwner } from '../../src/storage/folder-format.ts'
import { startChild } from '../helpers/child-process.ts'
import { temporaryDirectory } from '../outbox/outbox-parts.ts'

describe('the data folder', () => {
  test('is made, with its parents, and carries its format', async () => {
    const directory = path.join(temporaryDirectory(), 'a', 'b')
    const folder = await openDataFolder(directory, 'engine')
    expect(folder.directory).toBe(directory)
    expect(readFileSync(path.join(directory, 'format.json'), 'utf8')).toBe(
      '{"version":4,"owner":"engine","environments":[]}\n',
    )
    folder.close()
  })

  test('knows the environments that were made in it', async () => {
    const directory = temporaryDirectory()
    const folder = await openDataFolder(directory, 'engine')
    expect(folder.hasMade('outbox')).toBe(false)
    await folder.noteMade('outbox')
    expect(folder.hasMade('outbox')).toBe(true)
    folder.close()
    const again = await openDataFolder(directory, 'engine')
    expect([again.hasMade('outbox'), again.hasMade('other')]).toEqual([true, false])
    again.close()
  })

  test('of format 1 keeps its owner, and is known to have had an outbox', async () => {
    const directory = temporaryDirectory()
    mkdirSync(path.join(directory, 'event-source', 'checkpoints'), { recursive: true })
    writeFileSync(path.join(directory, 'format.json'), '{"version":1,"owner":"lab"}')
    const folder = await openDataFolder(directory, 'lab')
    expect(folder).toMatchObject({ wasUnmarked: false })
    folder.close()
    expect(JSON.parse(readFileSync(path.join(directory, 'format.json'), 'utf8'))).toEqual({
      version: 4,
      owner: 'lab',
      environments: ['outbox', 'event-source/checkpoints'],
    })
  })

  test('is opened again after it was closed, and closing twice is harmless', async () => {
    const directory = temporaryDirectory()
    const folder = await openDataFolder(directory, 'engine')
    folder.close()
    folder.close()
    const again = await openDataFolder(directory, 'engine')
    expect(again.directory).toBe(directory)
    again.close()
  })

  test('is refused to a second user in the same process', async () => {
    const directory = temporaryDirectory()
    const folder = await openDataFolder(directory, 'engine')
    const link = path.join(temporaryDirectory(), 'link')
    symlinkSync(directory, link)
    for (const given of [directory, link]) {
      await expect(openDataFolder(given, 'lab-streams')).rejects.toMatchObject({
        code: 'DataFolderLocked',
        message:
          `The data folder ${given} is in use by this process itself: ` +
          'set SLUICE_DATA_DIR and SLUICE_LAB_DATA to two folders',
      })
    }
    folder.close()
  })

  test('is refused while another process holds it, and free once that is killed', async () => {
    const directory = temporaryDirectory()
    const holder = startChild(new URL('./hold-folder.ts', import.meta.url), [directory])
    await holder.printed(1)
    await expect(openDataFolder(directory, 'engine')).rejects.toMatchObject({
      code: 'DataFolderLocked',
      message:
        `The data folder ${directory} is in use by another process (pid ${holder.pid}): ` +
        'stop it, or choose another folder',
    })
    await holder.kill()
    const folder = await openDataFolder(directory, 'engine')
    expect(readFileSync(path.join(directory, 'lock'), 'utf8')).toBe(`${process.pid}\n`)
    folder.close()
  })

  test.each([
    ['a newer format', '{"version": 5}', 'DataFolderVersionUnsupported', /newer release/],
    ['no JSON in its format file', 'version one', 'DataFolderUnusable', /does not say/],
    ['no version in it', '{}', 'DataFolderUnusable', /does not say/],
    ['a version that is no whole number', '{"version": 1.5}', 'DataFolderUnusable', /does not say/],
    ['an owner that is none', '{"version":1,"owner":"x"}', 'DataFolderUnusable', /does not say/],
    [
      'environments that are no list',
      '{"version":2,"owner":"lab","environments":{}}',
      'DataFolderUnusable',
      /does not say/,
    ],
    ['a version before the first', '{"version": 0}', 'DataFolderUnusable', /does not say/],
  ])('is refused with %s', async (_, text, code, message) => {
    const directory = temporaryDirectory()
    writeFileSync(path.join(directory, 'format.json'), text)
    await expect(openDataFolder(directory, 'engine')).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    })
  })

  test.each(['outbox', 'event-source'])(
    'is refused when it holds %s, whose format nothing says',
    async (name) => {
      const directory = temporaryDirectory()
      mkdirSync(path.join(directory, name))
      await expect(openDataFolder(directory, 'engine')).rejects.toMatchObject({
        code: 'DataFolderUnusable',
        message: expect.stringMatching(`holds ${name} but no format.json.*: move ${name} away`),
      })
      expect(existsSync(path.join(directory, 'format.json'))).toBe(false)
    },
  )

  test.each(['sluice.log', 'holiday.jpg', 'credentials.json'])(
    'may hold %s before its first start',
    async (name) => {
      const directory = temporaryDirectory()
      writeFileSync(path.join(directory, name), '')
      const folder = await openDataFolder(directory, 'engine')
      folder.close()
      expect(readFileSync(path.join(directory, name), 'utf8')).toBe('')
    },
  )

  test('takes a fresh volume, and one whose first start was cut short', async () => {
    const directory = temporaryDirectory()
    mkdirSync(path.join(directory, 'lost+found'))
    for (const name of ['.gitkeep', 'lock', 'format.json.new']) {
      writeFileSync(path.join(directory, name), '')
    }
    const folder = await openDataFolder(directory, 'engine')
    expect(folder.directory).toBe(directory)
    folder.close()
  })

  test('is refused where a file stands in its place', async () => {
    const file = path.join(temporaryDirectory(), 'file')
    writeFileSync(file, '')
    await expect(openDataFolder(file, 'engine')).rejects.toMatchObject({
      code: 'DataFolderUnusable',
    })
  })
})

/** How an attempt to open the folder ends, which is closed again. */
async function opened(directory: string, owner: FolderOwner): Promise<string> {
  try {
    const folder = await openDataFolder(directory, owner)
    folder.close()
    return folder.wasUnmarked ? 'taken over' : 'open'
  } catch (error) {
    return error instanceof SluiceError ? error.code : String(error)
  }
}

const earlierFolder = path.resolve(import.meta.dirname, '../fixtures/data-folders/0.1.0')
const mappingFile = 'event-source/mappings/30cbf1e0-ba43-486d-b76e-229c5ff9ad08.json'

/** What 0.1.0 leaves after a clean stop, which removes `lab.json`. */
function stoppedFolder(accountId: string): string {
  const directory = temporaryDirectory()
  cpSync(earlierFolder, directory, { recursive: true })
  rmSync(path.join(directory, 'lab.json'))
  const file = path.join(directory, mappingFile)
  writeFileSync(file, readFileSync(file, 'utf8').replace('000000000000', accountId))
  return directory
}

describe('the owner of a data folder', () => {
  const owners = ['lab', 'engine', 'lab-streams'] as const

  test.each(owners)('%s: the others are refused, in one line with the way out', async (owner) => {
    const directory = temporaryDirectory()
    expect(await opened(directory, owner)).toBe('open')
    const text = readFileSync(path.join(directory, 'format.json'), 'utf8')
    for (const other of owners.filter((each) => each !== owner)) {
      const refusal = {
        code: 'DataFolderOfAnother',
        message: expect.stringMatching(
          /^The data folder [^\n]* belongs to [^\n]*: set SLUICE_(LAB_DATA|DATA_DIR) to [^\n]*$/,
        ) as string,
      }
      await expect(openDataFolder(directory, other)).rejects.toMatchObject(refusal)
      await expect(checkFolderOwner(directory, other)).rejects.toMatchObject(refusal)
    }
    expect(await opened(directory, owner)).toBe('open')
    await checkFolderOwner(directory, owner)
    expect(readFileSync(path.join(directory, 'format.json'), 'utf8')).toBe(text)
  })

  const refused = 'DataFolderOfAnother'
  test.each<[string, readonly string[], Readonly<Record<FolderOwner, string>>]>([
    [
      'a lab wrote',
      ['outbox', 'lab.json'],
      { lab: 'taken over', engine: refused, 'lab-streams': refused },
    ],
    [
      'that nothing tells apart',
      ['outbox'],
      { lab: 'taken over', engine: 'taken over', 'lab-streams': refused },
    ],
    ["of a lab's streams", ['lab'], { lab: refused, engine: refused, 'lab-streams': 'taken over' }],
    // Nothing in it tells them apart, and nothing in it can be delivered.
    ['that holds nothing', [], { lab: refused, engine: 'taken over', 'lab-streams': 'taken over' }],
  ])('a folder of before %s', async (_name, contents, outcomes) => {
    for (const owner of owners) {
      const directory = temporaryDirectory()
      writeFileSync(path.join(directory, 'format.json'), '{"version":1}\n')
      for (const name of contents) mkdirSync(path.join(directory, name))
      expect([owner, await opened(directory, owner)]).toEqual([owner, outcomes[owner]])
      expect(await opened(directory, owner)).toBe(
        outcomes[owner] === 'taken over' ? 'open' : outcomes[owner],
      )
    }
  })

  test.each<[string, string, Readonly<Record<FolderOwner, string>>]>([
    ["the lab's", '000000000000', { lab: 'taken over', engine: refused, 'lab-streams': refused }],
    ['AWS', '123456789012', { lab: refused, engine: 'taken over', 'lab-streams': refused }],
  ])(
    'a folder of 0.1.0 without lab.json, with a mapping of an account of %s',
    async (_, accountId, outcomes) => {
      for (const owner of owners) {
        const directory = stoppedFolder(accountId)
        expect([owner, await opened(directory, owner)]).toEqual([owner, outcomes[owner]])
      }
    },
  )

  test('is not guessed while a mapping of a folder of before cannot be read', async () => {
    const directory = stoppedFolder('000000000000')
    mkdirSync(path.join(directory, 'event-source', 'mappings', 'a.json'))
    for (const owner of ['lab', 'engine'] as const) {
      expect(await opened(directory, owner)).toBe('DataFolderUnusable')
    }
  })

  test('is looked at without making anything', async () => {
    const directory = path.join(temporaryDirectory(), 'absent')
    await checkFolderOwner(directory, 'lab')
    expect(existsSync(directory)).toBe(false)
  })
})
