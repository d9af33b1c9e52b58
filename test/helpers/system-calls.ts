import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'

/** A call of the kernel, as `strace` saw it. */
export interface SystemCall {
  readonly name: string
  /**
   * As `strace` writes them: `12</data/outbox/data.mdb>` for a descriptor, and the first bytes of
   * what was read or written, each as `\xHH` where one of them is not printable.
   */
  readonly arguments: string
  readonly result: string
  /**
   * The places of its beginning and of its end among those of the calls of all threads: a call was
   * over before another one began when its `ended` is less than the `began` of the other.
   */
  readonly began: number
  readonly ended: number
}

interface TracedNode {
  /** An executable that runs Node.js under `strace`, and has its process id. */
  readonly node: string
  /** The calls so far that have ended, in the order of their beginnings. */
  calls(): Promise<readonly SystemCall[]>
}

const traced =
  'openat,read,readv,write,writev,sendto,sendmsg,pwrite64,pwritev,fsync,fdatasync,msync'

/** Whether this machine has `strace`, and lets this user trace. */
export const canTrace = spawnSync('strace', ['-D', '-e', 'trace=none', 'true']).status === 0

/** @param folder takes the trace and the executable, and stays until the process has ended */
export function traceNode(folder: string): TracedNode {
  const node = path.join(folder, 'traced-node')
  const file = path.join(folder, 'system-calls')
  const options = `-D -f -y -x -s 512 -o '${file}' -e trace=${traced}`
  writeFileSync(node, `#!/bin/sh\nexec strace ${options} -- '${process.execPath}' "$@"\n`)
  chmodSync(node, 0o755)
  return { node, calls: async () => parseCalls(await readFile(file, 'utf8')) }
}

const whole = /^(\d+) +(\w+)\((.*)\) += (.*)$/s
const unfinished = /^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$/s
const resumed = /^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (.*)$/s

function parseCalls(text: string): readonly SystemCall[] {
  const calls: SystemCall[] = []
  /** A thread waits for one call at a time. */
  const running = new Map<string, { began: number; begun: string }>()
  // The last line may be half written.
  for (const [place, line] of text.split('\n').slice(0, -1).entries()) {
    const begin = unfinished.exec(line)
    if (begin) {
      const [, thread = '', , begun = ''] = begin
      running.set(thread, { began: place, begun })
      continue
    }
    const end = resumed.exec(line) ?? whole.exec(line)
    if (!end) continue
    const [, thread = '', name = '', rest = '', result = ''] = end
    const { began, begun } = running.get(thread) ?? { began: place, begun: '' }
    running.delete(thread)
    calls.push({ name, arguments: begun + rest, result, began, ended: place })
  }
  return calls.toSorted((left, right) => left.began - right.began)
}

/** Bytes in the form of `SystemCall.arguments`, where one of them is not printable. */
export function hexBytes(...bytes: readonly number[]): string {
  return bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
}
