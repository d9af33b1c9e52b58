import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'

/** A script of this folder in a process of its own; killed when the test ends, if not before. */
export interface Child {
  /** What it has printed, line by line. */
  readonly lines: readonly string[]
  readonly pid: number
  /** Resolves when it has printed so many lines. */
  printed(count: number): Promise<void>
  /** Resolves when it has printed such a line, from the line of this index on. */
  printedLine(pattern: RegExp, fromIndex?: number): Promise<void>
  /** `kill -9`; resolves when it is gone and all its output is read. */
  kill(): Promise<void>
}

/** Starts `script` with `arguments_`; `shell` is run before it in the same process. */
export function startChild(script: URL, arguments_: readonly string[], shell = ''): Child {
  const file = fileURLToPath(script)
  const command = `${shell}exec "$0" "$@"`
  const child = spawn(
    '/bin/sh',
    ['-c', command, process.execPath, '--import', 'tsx', file, ...arguments_],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  return followChild(child)
}

/** Reads what a child prints; it is killed when the test ends, if not before. */
export function followChild(child: ChildProcess): Child {
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines: string[] = []
  const checks = new Set<() => void>()
  const ended = once(child, 'close')
  const { stdout } = child
  if (stdout === null) throw new Error('The child has no output to read')
  createInterface(stdout).on('line', (line) => {
    lines.push(line)
    for (const check of checks) check()
  })

  function until(holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (!holds()) return
        checks.delete(check)
        resolve()
      }
      checks.add(check)
      ended.then(() => reject(new Error(`The child ended after ${lines.length} lines`)), reject)
      check()
    })
  }

  return {
    lines,
    pid: child.pid ?? 0,
    printed: (count) => until(() => lines.length >= count),
    printedLine: (pattern, fromIndex = 0) =>
      until(() => lines.slice(fromIndex).some((line) => pattern.test(line))),
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}
