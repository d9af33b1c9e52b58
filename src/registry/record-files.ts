/**
 * Records on disk: `<folder>/<name>.json`, one file for each, readable by its owner alone.
 *
 * Invariants: a file is complete or missing: it is written under another name, flushed and renamed.
 * The name of a record stands in the file; that of the file only resembles it, so that names which
 * differ in case alone are two files on every file system. A file that is not usable concerns its
 * own record only, and stays for its owner to mend.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import path from 'node:path'
import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { SluiceError, messageOf } from '../base/errors.ts'
import { schemaProblem } from '../base/schema-problem.ts'
import { flushEntryOf, removeDurably, writeDurably } from '../storage/durable-file.ts'
import { readPlainFile } from '../storage/file-reads.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import type { RecordForm, RecordListener, Records } from './records.ts'

interface RecordFilesOptions<Schema extends TSchema> extends RecordForm<Schema> {
  readonly folder: string
}

/** A thing with 50 attributes of 800 characters, and the PEM text of a certificate, have room. */
const fileBytesMax = 262_144
const filesAtOnceMax = 16
/** The names of files may have 255 bytes, and a draft has a longer one. */
const fileNameLengthMax = 200

/**
 * Logs each file that cannot be used.
 *
 * @throws what the system throws (rejects): the folder cannot be made or listed
 */
export async function openRecordFiles<Schema extends TSchema>(
  { logger }: { readonly logger: Pick<Logger, 'error'> },
  { folder, schema, nameOf, what }: RecordFilesOptions<Schema>,
): Promise<Records<Static<Schema>>> {
  const wasMade = (await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined
  if (wasMade) await flushEntryOf(folder)
  const fileByName = new Map<string, string>()
  const taken = new Set<string>()
  const records: Static<Schema>[] = []
  const report = (file: string, problem: string) =>
    logger.error(`${what} cannot be used, and is left out: ${path.join(folder, file)}: ${problem}`)

  function take(file: string, read: Static<Schema> | Error): void {
    taken.add(file.toLowerCase())
    if (read instanceof Error) {
      report(file, read.message)
      return
    }
    const name = nameOf(read)
    const other = fileByName.get(name)
    if (other === undefined) {
      fileByName.set(name, file)
      records.push(read)
    } else report(file, `${other} holds ${name} as well`)
  }

  const files = (await readdir(folder)).filter((file) => /^[^.].*\.json$/.test(file)).toSorted()
  for (let first = 0; first < files.length; first += filesAtOnceMax) {
    const some = files.slice(first, first + filesAtOnceMax)
    const read = await Promise.all(some.map((file) => readOne(path.join(folder, file), schema)))
    read.forEach((each, index) => take(some[index] ?? '', each))
  }

  function fileOf(name: string): string {
    const known = fileByName.get(name)
    if (known !== undefined) return known
    const plain = `${name.replaceAll(/[^\w-]/g, encode)}.json`
    const isFree = plain.length <= fileNameLengthMax && !taken.has(plain.toLowerCase())
    return isFree ? plain : `${createHash('sha256').update(name).digest('hex')}.json`
  }

  let changed: RecordListener<Static<Schema>> | undefined

  return {
    async write(record) {
      const name = nameOf(record)
      const file = fileOf(name)
      const text = `${JSON.stringify(record, null, 2)}\n`
      await writeDurably(path.join(folder, file), text, { mode: 0o600 }).catch(unwritable)
      fileByName.set(name, file)
      taken.add(file.toLowerCase())
      changed?.(name, record)
    },
    async remove(name) {
      const file = fileOf(name)
      await removeDurably(path.join(folder, file)).catch(unwritable)
      fileByName.delete(name)
      taken.delete(file.toLowerCase())
      changed?.(name, undefined)
    },
    follow(listener) {
      changed = listener
      for (const record of records) listener(nameOf(record), record)
    },
    caughtUp: () => Promise.resolve(),
  }
}

const encode = (character: string) =>
  Array.from(Buffer.from(character), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')

async function readOne<Schema extends TSchema>(
  file: string,
  schema: Schema,
): Promise<Static<Schema> | Error> {
  try {
    const read = await readPlainFile(file, fileBytesMax)
    const stored: unknown = JSON.parse(read?.bytes.toString() ?? '')
    if (Value.Check(schema, stored)) return stored
    return schemaProblem(Value.Errors(schema, stored))
  } catch (thrown) {
    return new Error(messageOf(thrown), { cause: thrown })
  }
}

function unwritable(thrown: unknown): never {
  const message = `a record of the registry cannot be written: ${messageOf(thrown)}`
  throw new SluiceError('InternalFailureException', message, { cause: thrown })
}
