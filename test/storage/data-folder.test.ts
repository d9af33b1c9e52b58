import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { openDataFolder } from '../../src/storage/data-folder.ts'
import { startChild } from '../helpers/child-process.ts'
import { temporaryDirectory } from '../outbox/outbox-parts.ts'

describe('the data folder', () => {
  it('is made, with its parents, and carries its format', async () => {
    const directory = path.join(temporaryDirectory(), 'a', 'b')
    const folder = await openDataFolder(directory)
    expect(folder.directory).toBe(directory)
    expect(readFileSync(path.join(directory, 'format.json'), 'utf8')).toBe('{"version":1}\n')
    folder.close()
  })

  it('is opened again after it was closed, and closing twice is harmless', async () => {
    const directory = temporaryDirectory()
    const folder = await openDataFolder(directory)
    folder.close()
    folder.close()
    const again = await openDataFolder(directory)
    expect(again.directory).toBe(directory)
    again.close()
  })

  it('is refused to a second user in the same process', async () => {
    const directory = temporaryDirectory()
    const folder = await openDataFolder(directory)
    await expect(openDataFolder(directory)).rejects.toMatchObject({ code: 'DataFolderLocked' })
    folder.close()
  })

  it('is refused while another process holds it, and free once that is killed', async () => {
    const directory = temporaryDirectory()
    const holder = startChild(new URL('./hold-folder.ts', import.meta.url), [directory])
    await holder.printed(1)
    await expect(openDataFolder(directory)).rejects.toMatchObject({
      code: 'DataFolderLocked',
      message:
        `The data folder ${directory} is in use by another process (pid ${holder.pid}): ` +
        'stop it, or choose another folder',
    })
    await holder.kill()
    const folder = await openDataFolder(directory)
    expect(readFileSync(path.join(directory, 'lock'), 'utf8')).toBe(`${process.pid}\n`)
    folder.close()
  })

  it.each([
    ['a newer format', '{"version": 2}', 'DataFolderVersionUnsupported', /newer release/],
    ['no JSON in its format file', 'version one', 'DataFolderUnusable', /does not say/],
    ['no version in it', '{}', 'DataFolderUnusable', /does not say/],
    ['a version that is no whole number', '{"version": 1.5}', 'DataFolderUnusable', /does not say/],
    ['a version before the first', '{"version": 0}', 'DataFolderUnusable', /does not say/],
  ])('is refused with %s', async (_, text, code, message) => {
    const directory = temporaryDirectory()
    writeFileSync(path.join(directory, 'format.json'), text)
    await expect(openDataFolder(directory)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    })
  })

  it('is refused when it holds something else', async () => {
    const directory = temporaryDirectory()
    writeFileSync(path.join(directory, 'holiday.jpg'), '')
    await expect(openDataFolder(directory)).rejects.toMatchObject({
      code: 'DataFolderUnusable',
      message: expect.stringContaining('holds holiday.jpg but no format.json') as string,
    })
  })

  it('takes a fresh volume, and one whose first start was cut short', async () => {
    const directory = temporaryDirectory()
    mkdirSync(path.join(directory, 'lost+found'))
    for (const name of ['.gitkeep', 'lock', 'format.json.new']) {
      writeFileSync(path.join(directory, name), '')
    }
    const folder = await openDataFolder(directory)
    expect(folder.directory).toBe(directory)
    folder.close()
  })

  it('is refused where a file stands in its place', async () => {
    const file = path.join(temporaryDirectory(), 'file')
    writeFileSync(file, '')
    await expect(openDataFolder(file)).rejects.toMatchObject({ code: 'DataFolderUnusable' })
  })
})
