import type { Clock } from '../base/clock.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { invalidFile, readSecretFile } from './secret-file.ts'
import type { SecretFile } from './secret-file.ts'

/**
 * A file of secrets, read now and again whenever it changes. A version that cannot be used is logged
 * and the last good one stays in force; so does it when the file is taken away. It is looked at once a
 * second instead of being watched: that sees every way of replacing a file, on every file system.
 */
export interface ReloadedFile<Value> {
  /** What the last good version said. */
  current(): Value
  close(): void
}

export interface ReloadedOptions<Content, Value> {
  /** For log lines and errors. */
  readonly file: string
  /** For log lines: `the credentials file`. */
  readonly title: string
  /** Undefined while there is none. */
  readonly read: () => Promise<Content | undefined>
  /** Throws what is wrong with it. */
  readonly parse: (content: Content) => Value
  /** What holds while there is no file, and there has been none. Absent: it must be there at once. */
  readonly whenAbsent?: Value
  /** Told of every good version but the first. */
  readonly onChange?: (value: Value) => void
}

export interface ReloadedFileOptions<Value> {
  readonly file: string
  readonly title: string
  readonly parse: (text: string) => Value
  readonly whenAbsent?: Value
}

export interface ReloadedFileDependencies {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'error'>
}

export const checkIntervalMs = 1_000

/**
 * Follows one file of secrets.
 *
 * @throws SluiceError IdentityFileInvalid: the first version is not usable
 */
export function openReloadedFile<Value>(
  deps: ReloadedFileDependencies,
  options: ReloadedFileOptions<Value>,
): Promise<ReloadedFile<Value>> {
  return openReloaded<SecretFile, Value>(deps, {
    ...options,
    read: () => readSecretFile(options.file),
    parse: ({ text }) => options.parse(text),
  })
}

/**
 * Follows what `read` gives.
 *
 * @throws SluiceError IdentityFileInvalid: the first version is not usable
 */
export async function openReloaded<Content extends { readonly version: string }, Value>(
  { clock, logger }: ReloadedFileDependencies,
  options: ReloadedOptions<Content, Value>,
): Promise<ReloadedFile<Value>> {
  const { file, title, read, onChange } = options
  const first = await read()
  let value = first ? parse(first, options) : absentValue(options)
  let version = first?.version ?? absent
  let isClosed = false
  let cancel = clock.after(checkIntervalMs, check)

  function check(): void {
    void load().finally(() => {
      if (!isClosed) cancel = clock.after(checkIntervalMs, check)
    })
  }

  async function load(): Promise<void> {
    try {
      const next = await read()
      if ((next?.version ?? absent) === version || isClosed) return
      version = next?.version ?? absent
      if (!next) throw invalidFile(file, 'is not there any more')
      value = parse(next, options)
      onChange?.(value)
      logger.info({ file }, `${title} was read again`)
    } catch (thrown) {
      report(thrown)
    }
  }

  let reported: string | undefined
  /** A file that stays unreadable is told about once. */
  function report(thrown: unknown): void {
    const problem = `${version} ${messageOf(thrown)}`
    if (problem === reported) return
    reported = problem
    logger.error(
      { file, problem: messageOf(thrown) },
      `${title} cannot be used; what it said stays`,
    )
  }

  return {
    current: () => value,
    close() {
      isClosed = true
      cancel()
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
