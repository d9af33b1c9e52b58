import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

/** A file of the console as it is sent. */
export interface ConsoleFile {
  readonly type: string
  readonly bytes: Buffer
  readonly gzipped: Buffer
  readonly etag: string
  /** Whether its name changes with its contents. */
  readonly isImmutable: boolean
}

/** The files of the console by their path, such as `index.html` and `assets/index-1a2b.js`. */
export type ConsoleFiles = ReadonlyMap<string, ConsoleFile>

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Where `scripts/build.mjs` puts them. */
export const consoleFolder = fileURLToPath(new URL('../../../dist/console/', import.meta.url))

/**
 * Reads the console, which is some hundred kilobytes, into memory.
 *
 * @returns an empty map when it was not built
 */
export async function readConsoleFiles(folder = consoleFolder): Promise<ConsoleFiles> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async ({ parentPath, name }) => {
        const file = path.join(parentPath, name)
        const bytes = await readFile(file)
        const shown = path.relative(folder, file).replaceAll(path.sep, '/')
        return [
          shown,
          {
            type: types[path.extname(name)] ?? 'application/octet-stream',
            bytes,
            gzipped: await promisify(gzip)(bytes, { level: 9 }),
            etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
            isImmutable: shown.startsWith('assets/'),
          },
        ] as const
      }),
  )
  return new Map(files)
}
