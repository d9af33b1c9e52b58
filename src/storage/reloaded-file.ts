import type { Clock } from '../base/clock.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import type { FileFaults, GuardedFiles } from './file-faults.ts'
import { isUnreadable } from './file-reads.ts'
import type { FileReads } from './file-reads.ts'
import { invalidFile, readSecretFile, versionOfFile } from './secret-file.ts'
import type { SecretFile } from './secret-file.ts'

/**
 * A file of secrets, read now and again whenever it changes. It is looked at once a second instead
 * of being watched: that sees every way of replacing a file, on every file system.
 *
 * Invariants:
 * - A version that is not valid is logged and the last good one stays in force; so does it when the
 *   file is taken away.
 * - While the system does not let us read the file, what it guards is closed (`whenUnreadable`): it
 *   may have changed to take a right away. Each look tries it again.
 * - To know that nothing has changed takes no file descriptor (`look`).
 */
export interface ReloadedFile<Value> {
  /** What the last good version said, or what holds while the file cannot be read. */
  current(): Value
  /** Whether the system does not say what the file holds. */
  isUnreadable(): boolean
  /** Looks at once, instead of within a second. Never rejects. */
  reload(): Promise<void>
  close(): void
}

interface ReloadedOptions<Content, Value> {
  /** For log lines and errors. */
  readonly file: string
  readonly kind: GuardedFiles
  /** For log lines: `the credentials file`. */
  readonly title: string
  /** Undefined while there is none. */
  readonly read: () => Promise<Content | undefined>
  /**
   * The version that `read` would give; undefined while there is no file. Absent: `read` is asked.
   */
  readonly look?: (() => Promise<string | undefined>) | undefined
  /** Throws what is wrong with it. */
  readonly parse: (content: Content) => Value
  /**
   * What holds while there is no file, and there has been none. Absent: it must be there at once.
   */
  readonly whenAbsent?: Value
  /** What holds while the file cannot be read. Absent: what it said last. */
  readonly whenUnreadable?: Value
  /** Whether a value stands for something that could not be read. */
  readonly isUnreadable?: ((value: Value) => boolean) | undefined
  /** Told of every good version but the first. */
  readonly onChange?: (value: Value) => void
}

interface ReloadedFileOptions<Value> extends Pick<
  ReloadedOptions<SecretFile, Value>,
  'file' | 'kind' | 'title' | 'whenAbsent' | 'whenUnreadable'
> {
  readonly parse: (text: string) => Value
  /** What is read instead of the file. */
  readonly source?: SecretSource | undefined
}

/** Secrets that are not in a file. */
export interface SecretSource {
  /** For log lines and errors. */
  readonly place: string
  readonly read: () => Promise<SecretFile | undefined>
  readonly look: () => Promise<string | undefined>
  /**
   * @param listener called when there is another version
   * @returns stops it
   */
  readonly onChange: (listener: () => void) => () => void
}

export interface ReloadedFileDependencies {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'error'>
  /** Default: those of Node. */
  readonly reads?: FileReads | undefined
  /** Told of files that cannot be read. */
  readonly faults?: FileFaults | undefined
}

const checkIntervalMs = 1_000

/**
 * Follows one file of secrets.
 *
 * @throws SluiceError IdentityFileInvalid: the first version is not usable
 */
export async function openReloadedFile<Value>(
  dependencies: ReloadedFileDependencies,
  options: ReloadedFileOptions<Value>,
): Promise<ReloadedFile<Value>> {
  const { source, file, parse: parseText, ...others } = options
  const opened = await openReloaded<SecretFile, Value>(dependencies, {
    ...others,
    file: source?.place ?? file,
    read: source?.read ?? (() => readSecretFile(file, dependencies.reads)),
    look: source?.look ?? (() => versionOfFile(file, dependencies.reads)),
    parse: ({ text }) => parseText(text),
  })
  const stop = source?.onChange(() => void opened.reload())
  return {
    ...opened,
    close() {
      stop?.()
      opened.close()
    },
  }
}

/**
 * Follows what `read` gives.
 *
 * @throws SluiceError IdentityFileInvalid: the first version is not usable
 */
export async function openReloaded<Content extends { readonly version: string }, Value>(
  { clock, logger, faults }: ReloadedFileDependencies,
  options: ReloadedOptions<Content, Value>,
): Promise<ReloadedFile<Value>> {
  const { file, title, kind, read, look, onChange } = options
  const first = await read()
  let value = first ? parse(first, options) : absentValue(options)
  let version = first?.version ?? absent
  /** Of the last look: the system did not say. */
  let isFailing = false
  let isClosed = false
  let cancel = clock.after(checkIntervalMs, check)
  const fault = faults?.follow(kind)
  const reporter = createReporter(logger, { file, title })

  /** Of looks that overlap the last one alone says what holds: the others may have read less. */
  let looks = 0

  function check(): void {
    void load().finally(() => {
      if (isClosed) return
      fault?.set(isUnreadableNow())
      cancel = clock.after(checkIntervalMs, check)
    })
  }

  const isUnreadableNow = () => isFailing || (options.isUnreadable?.(value) ?? false)

  async function load(): Promise<void> {
    const own = (looks += 1)
    try {
      if (look && !isFailing && ((await look()) ?? absent) === version) return
      const next = await read()
      if (isClosed || own !== looks) return
      const wasFailing = isFailing
      isFailing = false
      if ((next?.version ?? absent) === version) {
        if (wasFailing) logger.info({ file }, `${title} can be read again`)
        if (wasFailing) reporter.forget()
        return
      }
      version = next?.version ?? absent
      if (!next) throw invalidFile(file, 'is not there any more')
      value = parse(next, options)
      reporter.forget()
      onChange?.(value)
      logger.info({ file }, `${title} was read again`)
    } catch (thrown) {
      if (isClosed || own !== looks) return
      isFailing = isUnreadable(thrown)
      reporter.report(thrown, version, isFailing && 'whenUnreadable' in options)
    }
  }

  const reload = createJoined(async () => {
    const own = looks + 1
    if (!isClosed) await load()
    return isClosed || own === looks
  })

  return {
    current: () => (isFailing && 'whenUnreadable' in options ? options.whenUnreadable : value),
    isUnreadable: isUnreadableNow,
    reload: () => reload().then(() => fault?.set(isUnreadableNow())),
    close() {
      isClosed = true
      cancel()
      fault?.close()
    },
  }
}

/**
 * Joins calls that come during a run: two that waited for each other's looks would never end.
 *
 * @param run resolves with whether it is enough; otherwise it runs again
 * @returns resolves when a run that began after the call is over
 */
function createJoined(run: () => Promise<boolean>): () => Promise<void> {
  let running: Promise<void> | undefined
  let isAskedAgain = false

  async function runAll(): Promise<void> {
    do isAskedAgain = false
    while (!(await run()) || isAskedAgain)
    // In the same turn, so that no call is answered by a run that began before it.
    running = undefined
  }
  return () => {
    isAskedAgain = true
    return (running ??= runAll())
  }
}

/** Tells once about a file that stays unusable. */
function createReporter(
  logger: ReloadedFileDependencies['logger'],
  { file, title }: { readonly file: string; readonly title: string },
) {
  let reported: string | undefined
  return {
    forget() {
      reported = undefined
    },
    report(thrown: unknown, version: string, isClosed: boolean) {
      const problem = `${version} ${messageOf(thrown)}`
      if (problem === reported) return
      reported = problem
      const text = isClosed
        ? `${title} cannot be read: nobody is let in by it until it can`
        : `${title} cannot be used; what it said stays`
      logger.error({ file, problem: messageOf(thrown) }, text)
    },
  }
}

const absent = 'absent'

function parse<Content, Value>(
  content: Content,
  { file, parse: read }: ReloadedOptions<Content, Value>,
): Value {
  try {
    return read(content)
  } catch (thrown) {
    if (thrown instanceof SluiceError && thrown.code === 'IdentityFileInvalid') throw thrown
    throw invalidFile(file, messageOf(thrown), thrown)
  }
}

function absentValue<Content, Value>(options: ReloadedOptions<Content, Value>): Value {
  if ('whenAbsent' in options) return options.whenAbsent
  throw invalidFile(options.file, 'is not there')
}
