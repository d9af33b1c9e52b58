import type { Clock } from '../base/clock.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import type { MappingFiles, StoredMapping, UnusableFile } from './mapping-files.ts'

/**
 * Mapping files that are not usable. They are read again now and then, so that a mapping runs when
 * somebody mends its file, or when the system lets the file be read again.
 */
interface UnusableFiles {
  /** The files now, sorted. */
  names(): readonly string[]
  stop(): void
}

interface UnusableFilesDependencies {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'error'>
  readonly files: Pick<MappingFiles, 'read'>
  /** @returns why the mapping cannot run, or undefined when it runs now */
  readonly adopt: (mapping: StoredMapping) => string | undefined
}

const rereadMs = 10_000

/** @param found the files at the start of the process */
export function createUnusableFiles(
  { clock, logger, files, adopt }: UnusableFilesDependencies,
  found: readonly UnusableFile[],
): UnusableFiles {
  const unusable = new Map<string, string>()
  const stopping = new AbortController()

  function note({ file, reason }: UnusableFile): void {
    if (unusable.get(file) === reason) return
    unusable.set(file, reason)
    logger.error(
      { file, reason },
      'a file of an event source mapping is not usable; it is left out',
    )
  }

  async function reread(): Promise<void> {
    for (const file of unusable.keys()) {
      const read = await files.read(file)
      if (stopping.signal.aborted) return
      const reason = read && ('reason' in read ? read.reason : adopt(read))
      if (reason !== undefined) note({ file, reason })
      else {
        unusable.delete(file)
        logger.info({ file }, read ? 'an event source mapping runs again' : 'the file is gone')
      }
    }
  }

  async function watch(): Promise<void> {
    while (unusable.size > 0) {
      await clock.sleep(rereadMs, stopping.signal)
      if (stopping.signal.aborted) return
      await reread()
    }
  }

  for (const each of found) note(each)
  void watch()
  return {
    names: () => [...unusable.keys()].toSorted(),
    stop: () => stopping.abort(),
  }
}
