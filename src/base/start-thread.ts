import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { WorkerOptions } from 'node:worker_threads'

/**
 * Starts a module of Sluice in a thread.
 *
 * @param entry the URL of a source file, made by `new URL` from a quoted relative path and
 *   `import.meta.url`: the build finds the modules of threads by this expression, and replaces the
 *   path by that of the bundled file
 */
export function startThread(entry: URL, options: WorkerOptions): Worker {
  return new Worker(entry.pathname.endsWith('.ts') ? entryOfSource(entry) : entry, options)
}

/**
 * Development only: a thread does not inherit the loader with which its parent reads TypeScript. A
 * build that is newer than every source is equivalent and starts ten times as fast, so it is used
 * if there is one. Otherwise the thread registers tsx (a development dependency) first.
 */
function entryOfSource(source: URL): URL {
  const built = new URL(source.href.replace(/^(.*)\/src\/(?:.*\/)?([^/]+)\.ts$/, '$1/dist/$2.js'))
  if (modifiedMs(built) > newestSourceMs(source)) return built
  const tsx = import.meta.resolve('tsx/esm/api')
  const code = `import { register } from '${tsx}'; register(); await import('${source.href}')`
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`)
}

function newestSourceMs(source: URL): number {
  const folder = fileURLToPath(new URL(source.href.replace(/^(.*\/src\/).*$/, '$1')))
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return Math.max(...entries.map((entry) => modifiedMs(path.join(entry.parentPath, entry.name))))
}

/** @returns 0 for a missing file */
function modifiedMs(file: string | URL): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
}
