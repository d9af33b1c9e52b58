import { statSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { readStacks } from './read-stack.ts'
import type { Stack, StackOptions } from './stack.ts'

/** Templates that are read again when they change. */
export interface FollowedStacks {
  /** What they said first. */
  readonly first: Stack
  /**
   * Looks at the files from now on. A version that cannot be used is told of once, and the last
   * good one stays.
   */
  follow(callbacks: FollowCallbacks): void
  /** Resolves when no callback runs any more. */
  close(): Promise<void>
}

interface FollowCallbacks {
  /** The next version is read when this has resolved. */
  readonly onStack: (stack: Stack) => Promise<void>
  /** @param problem one line */
  readonly onFault: (problem: string) => void
}

/**
 * How often the files are looked at. Watches of the system do not see every way of replacing a file
 * or a folder, on every file system.
 */
const lookIntervalMs = 250

/** By the name of each file and folder that the stacks depend on. */
type Versions = Map<string, string>

/**
 * Reads templates, and again whenever one of the files changes that they consist of. Files that are
 * still being written are waited for: they are read when they have been still for an interval.
 *
 * @param paths files or folders, as `readStacks` takes them
 * @throws SluiceError TemplateInvalid (rejects): the first version cannot be used
 */
export async function followStacks(
  { clock }: { readonly clock: Clock },
  paths: readonly string[],
  options: Omit<StackOptions, 'onFile'>,
): Promise<FollowedStacks> {
  let versions: Versions = new Map()
  let isClosed = false
  let cancel: (() => void) | undefined
  let looking: Promise<void> | undefined

  async function read(): Promise<Stack> {
    const found: Versions = new Map()
    // Before the file is read: a change in between is found by the next look.
    const onFile = (file: string) => found.set(file, versionOf(statNow(file)))
    try {
      return await readStacks(paths, { ...options, onFile })
    } catch (thrown) {
      // What was not reached is looked at as well, because its return may mend the fault.
      for (const file of versions.keys()) {
        if (!found.has(file)) onFile(file)
      }
      throw thrown
    } finally {
      versions = found
    }
  }

  function follow(callbacks: FollowCallbacks): void {
    let seen = ''
    const look = async () => {
      const now = await versionsNow(versions)
      const isStill = now === seen
      seen = now
      if (isClosed || !isStill || now === textOf(versions)) return
      const stack = await read().catch((thrown: unknown) => {
        callbacks.onFault(messageOf(thrown))
      })
      if (stack && !isClosed) await callbacks.onStack(stack)
    }
    const lookLater = () => {
      if (isClosed) return
      cancel = clock.after(lookIntervalMs, () => {
        looking = look().finally(lookLater)
      })
    }
    lookLater()
  }

  return {
    first: await read(),
    follow,
    async close() {
      isClosed = true
      cancel?.()
      await looking
    },
  }
}

const textOf = (versions: Versions) => JSON.stringify([...versions])

async function versionsNow(versions: Versions): Promise<string> {
  const now: Versions = new Map()
  for (const file of versions.keys()) {
    const found = await stat(file, { bigint: true }).catch(() => undefined)
    now.set(file, versionOf(found))
  }
  return textOf(now)
}

function versionOf(stats: BigIntStats | undefined): string {
  if (stats === undefined) return 'absent'
  // What stands in a folder has a version of its own, as far as it matters.
  if (stats.isDirectory()) return 'folder'
  return `${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`
}

function statNow(file: string): BigIntStats | undefined {
  try {
    return statSync(file, { bigint: true, throwIfNoEntry: false })
  } catch {
    return undefined
  }
}
