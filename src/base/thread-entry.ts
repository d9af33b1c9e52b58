import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { WorkerOptions } from 'node:worker_threads'

/**
 * Starts a module of this tree in a thread of its own.
 *
 * @param entry URL without its ending: `new URL('./function-thread-main', import.meta.url)`
 */
export function startThread(entry: URL, options: WorkerOptions): Worker {
  const isCompiled = import.meta.url.endsWith('.js')
  return new Worker(isCompiled ? new URL(`${entry.href}.js`) : entryOfSource(entry), options)
}

/**
 * Development only: a thread does not take over the loader with which its parent reads TypeScript.
 * What was compiled does, and starts ten times as fast, unless the source is newer; then the thread
 * registers tsx (a development dependency) first.
 */
function entryOfSource(entry: URL): URL {
  const source = new URL(`${entry.href}.ts`)
  const compiled = new URL(`${entry.href.replace(/\/src\/(?!.*\/src\/)/, '/dist/')}.js`)
  if (modifiedMs(compiled) > modifiedMs(source)) return compiled
  const tsx = import.meta.resolve('tsx/esm/api')
  const code = `import { register } from '${tsx}'; register(); await import('${source.href}')`
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`)
}

/** 0 for what is not there. */
function modifiedMs(file: URL): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
}
