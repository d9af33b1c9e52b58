/**
 * The mappings on disk: `<folder>/<UUID>.json`, one file for each mapping.
 *
 * Invariants: a file is complete or missing: it is written under another name, flushed and renamed.
 * A file that is not usable concerns its own mapping only: the others are read, and the file stays
 * for its owner to mend or to remove.
 */
import { mkdir, readdir } from 'node:fs/promises'
import path from 'node:path'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { messageOf } from '../base/errors.ts'
import { schemaProblem } from '../base/schema-problem.ts'
import { removeDurably, writeDurably } from '../storage/durable-file.ts'
import { readPlainFile } from '../storage/file-reads.ts'
import { settingsOfFile } from './mapping-request.ts'
import type { MappingSettings } from './mapping-settings.ts'

export interface StoredMapping {
  readonly uuid: string
  readonly settings: MappingSettings
  readonly tags?: Readonly<Record<string, string>> | undefined
  /** What defines the mapping, where that is not a request: it goes when that goes. */
  readonly heldBy?: string | undefined
  /** Epoch milliseconds. */
  readonly lastModifiedMs: number
}

/**
 * Reads the text of a file.
 *
 * @param name of the file, without its ending
 * @throws Error: what is wrong with the text
 */
export function parseMapping(text: string, name: string): StoredMapping {
  const stored: unknown = JSON.parse(text)
  const [...problems] = Value.Errors(fileSchema, stored)
  if (problems.length > 0) throw schemaProblem(problems)
  const { uuid, settings, tags, heldBy, lastModifiedMs } = stored as StoredMapping
  if (name !== uuid) {
    // A copy would come back when the mapping is deleted.
    throw new Error(`its uuid is ${JSON.stringify(uuid)}, which is not the name of the file`)
  }
  return { uuid, settings: settingsOfFile(settings), tags, heldBy, lastModifiedMs }
}

/** A file that holds no mapping that can run. */
export interface UnusableFile {
  readonly file: string
  readonly reason: string
}

export interface MappingFiles {
  /** @throws what the system throws (rejects): the folder cannot be listed */
  readAll(): Promise<{
    readonly mappings: readonly StoredMapping[]
    readonly unusable: readonly UnusableFile[]
  }>
  /** Reads one file again; undefined when it is gone. */
  read(file: string): Promise<StoredMapping | UnusableFile | undefined>
  write(mapping: StoredMapping): Promise<void>
  remove(uuid: string): Promise<void>
}

const fileBytesMax = 1_048_576
const filesAtOnceMax = 16

const fileSchema = Type.Object({
  uuid: Type.String(),
  settings: Type.Object({}),
  tags: Type.Optional(Type.Record(Type.String(), Type.String())),
  heldBy: Type.Optional(Type.String()),
  lastModifiedMs: Type.Number(),
})

/**
 * Opens the folder, which is created when it is missing.
 *
 * @returns the files, and whether the folder is new
 * @throws what the system throws (rejects): the folder cannot be made
 */
export async function openMappingFiles(
  folder: string,
): Promise<{ readonly files: MappingFiles; readonly isNew: boolean }> {
  const isNew = (await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined
  const fileOf = (uuid: string) => path.join(folder, `${uuid}.json`)

  const files: MappingFiles = {
    async readAll() {
      const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted()
      const read: (StoredMapping | UnusableFile)[] = []
      for (let first = 0; first < names.length; first += filesAtOnceMax) {
        const some = names.slice(first, first + filesAtOnceMax)
        const found = await Promise.all(some.map((name) => readMapping(path.join(folder, name))))
        read.push(...found.filter((each) => each !== undefined))
      }
      return {
        mappings: read.filter((each) => 'uuid' in each),
        unusable: read.filter((each) => 'reason' in each),
      }
    },
    read: readMapping,
    async write(mapping) {
      const text = `${JSON.stringify(mapping, null, 2)}\n`
      await writeDurably(fileOf(mapping.uuid), text, { mode: 0o600 })
    },
    remove: (uuid) => removeDurably(fileOf(uuid)),
  }
  return { files, isNew }
}

async function readMapping(file: string): Promise<StoredMapping | UnusableFile | undefined> {
  try {
    const read = await readPlainFile(file, fileBytesMax)
    if (read === undefined) return undefined
    return parseMapping(read.bytes.toString('utf8'), path.basename(file, '.json'))
  } catch (thrown) {
    return { file, reason: messageOf(thrown) }
  }
}
