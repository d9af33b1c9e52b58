/**
 * Rows of an environment of LMDB that are damaged, kept as they were found: one JSON object a line
 * in `quarantine/<environment>.ndjson` of the data folder.
 *
 *     {"foundAt": ISO 8601, "table": "records", "key": hexadecimal, "value": base64}
 */
import { mkdir, open, stat } from 'node:fs/promises'
import path from 'node:path'
import { SluiceError, messageOf } from '../base/errors.ts'
import type { Clock } from '../base/clock.ts'
import { flushEntryOf, flushFolder } from './durable-file.ts'
import { ifPresent } from './file-reads.ts'

/** The largest size at which rows are still added. */
const fileBytesMax = 128 * 1024 * 1024

interface QuarantinedRow {
  readonly table: string
  readonly key: Buffer
  readonly value: Buffer
}

export interface Quarantine {
  readonly file: string
  /**
   * Adds rows to the file. Durable when it resolves.
   *
   * @throws SluiceError DataFolderUnusable (rejects): the file is full, or cannot be written
   */
  keep(rows: readonly QuarantinedRow[]): Promise<void>
}

/**
 * @param directory the data folder
 * @param environment the name of the environment
 */
export function createQuarantine(
  directory: string,
  clock: Pick<Clock, 'wallMs'>,
  environment: string,
): Quarantine {
  const folder = path.join(directory, 'quarantine')
  const file = path.join(folder, `${environment}.ndjson`)
  /** One write at a time, so that lines stay whole. */
  let last: Promise<unknown> = Promise.resolve()

  async function write(rows: readonly QuarantinedRow[]): Promise<void> {
    const bytes = (await ifPresent(stat(file)))?.size ?? 0
    if (bytes > fileBytesMax) throw new Error(`it has ${bytes} bytes: move it away`)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const handle = await open(file, 'a', 0o600)
    try {
      const foundAt = new Date(clock.wallMs()).toISOString()
      await handle.writeFile(rows.map((row) => lineOf(row, foundAt)).join(''))
      await handle.sync()
    } finally {
      await handle.close()
    }
    await flushFolder(folder)
    await flushEntryOf(folder)
  }

  return {
    file,
    keep(rows) {
      const done = last.then(() => write(rows))
      last = done.catch(() => undefined)
      return done.catch((thrown: unknown) => {
        const message = `${file} cannot take damaged rows: ${messageOf(thrown)}`
        throw new SluiceError('DataFolderUnusable', message, { cause: thrown })
      })
    },
  }
}

function lineOf({ table, key, value }: QuarantinedRow, foundAt: string): string {
  const row = { foundAt, table, key: key.toString('hex'), value: value.toString('base64') }
  return `${JSON.stringify(row)}\n`
}
