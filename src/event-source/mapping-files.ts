/**
 * The mappings on disk: `<folder>/<UUID>.json`, one file for each mapping.
 *
 * Invariant: a file is complete or missing: it is written under another name, flushed and renamed.
 */
import { mkdir, readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import { SluiceError, messageOf } from '../base/errors.ts'
import { removeDurably, writeDurably } from '../storage/durable-file.ts'
import type { MappingSettings } from './mapping-settings.ts'

export interface StoredMapping {
  readonly uuid: string
  readonly settings: MappingSettings
  /** Epoch milliseconds. */
  readonly lastModifiedMs: number
}

export interface MappingFiles {
  readAll(): Promise<readonly StoredMapping[]>
  write(mapping: StoredMapping): Promise<void>
  remove(uuid: string): Promise<void>
}

/**
 * Opens the folder, which is created when it is missing.
 *
 * @returns the files, and whether the folder is new
 * @throws SluiceError DataFolderUnusable (rejects)
 */
export async function openMappingFiles(
  folder: string,
): Promise<{ readonly files: MappingFiles; readonly isNew: boolean }> {
  const isNew = (await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined
  const fileOf = (uuid: string) => path.join(folder, `${uuid}.json`)

  const files: MappingFiles = {
    async readAll() {
      const names = (await readdir(folder)).filter((name) => name.endsWith('.json'))
      return Promise.all(names.map((name) => readMapping(path.join(folder, name))))
    },
    async write(mapping) {
      const text = `${JSON.stringify(mapping, null, 2)}\n`
      await writeDurably(fileOf(mapping.uuid), text, { mode: 0o600 })
    },
    remove: (uuid) => removeDurably(fileOf(uuid)),
  }
  return { files, isNew }
}

async function readMapping(file: string): Promise<StoredMapping> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as StoredMapping
  } catch (thrown) {
    throw new SluiceError('DataFolderUnusable', `${file} cannot be read: ${messageOf(thrown)}`, {
      cause: thrown,
    })
  }
}
