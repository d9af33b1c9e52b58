import { SluiceError } from '../base/errors.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import type { MappingFiles, StoredMapping } from './mapping-files.ts'
import { applicationOf, runMapping } from './mapping-runner.ts'
import type { MappingRunnerDependencies, RunMapping, RunningMapping } from './mapping-runner.ts'

export type Tags = Readonly<Record<string, string>>
export type MappingState =
  'Creating' | 'Enabling' | 'Enabled' | 'Disabling' | 'Disabled' | 'Updating' | 'Deleting'

/** The current state of a mapping. */
export interface MappingEntry {
  readonly stored: StoredMapping
  /** What is being written now, and will be stored then. */
  readonly next?: StoredMapping | undefined
  readonly state: MappingState
  /** The result of the last invocation, in Lambda's words. */
  lastResult(): string
  /** In a cluster: rises with each change of any mapping. */
  readonly revision?: number | undefined
}

/**
 * The mappings on disk, and their runners. Each mapping has one writer at a time: a change marks
 * the mapping before its first await, and callers look at `isChanging` in the same turn. A change
 * is on disk when its promise resolves; the runner follows afterwards, and the state of the mapping
 * shows the progress. A mapping is Enabled when no record that is put from then on is skipped.
 */
export interface MappingEntries {
  all(): readonly MappingEntry[]
  find(uuid: string): MappingEntry | undefined
  /** Whether the last change is still in progress. */
  isChanging(uuid: string): boolean
  /** Resolves when no change is in progress. */
  settled(uuid: string): Promise<void>
  add(stored: StoredMapping): Promise<MappingEntry>
  replace(stored: StoredMapping): Promise<MappingEntry>
  remove(uuid: string): Promise<MappingEntry>
  /**
   * Stores other tags, after writes that are under way. The runner goes on.
   * @returns whether the mapping is still there
   */
  setTags(uuid: string, change: (tags: Tags) => Tags): Promise<boolean>
  /**
   * In a cluster: resolves when every change is known that was made before the call, at any node.
   *
   * @throws SluiceError ServiceUnavailableException (rejects)
   */
  readonly caughtUp?: (() => Promise<void>) | undefined
  start(): void
  stop(drainMs: number): Promise<void>
}

/** The mappings of a data folder. */
interface FolderEntries extends MappingEntries {
  /** Adds a mapping whose file is there already. */
  adopt(stored: StoredMapping): void
}

interface MappingEntriesDependencies extends MappingRunnerDependencies {
  readonly files: MappingFiles
  /** Removes the checkpoints of an application. */
  readonly removeCheckpoints: (application: string) => Promise<void>
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Default: `runMapping`. */
  readonly runMapping?: RunMapping | undefined
}

interface MappingEntriesOptions {
  readonly stored: readonly StoredMapping[]
  readonly accountIdNow: () => string
}

/** The time that a change leaves running invocations before it aborts them. */
export const changeDrainMs = 30_000
export const noResult = 'No records processed'

interface Entry {
  stored: StoredMapping
  next: StoredMapping | undefined
  state: MappingState
  running: RunningMapping | undefined
  /** The runner that has no positions yet. */
  unpositioned: RunningMapping | undefined
  transition: Promise<void> | undefined
  /** The file is being written or removed. */
  writing: Promise<void> | undefined
}

export function createMappingEntries(
  dependencies: MappingEntriesDependencies,
  { stored: atFirst, accountIdNow }: MappingEntriesOptions,
): FolderEntries {
  const entries = new Map<string, Entry>(
    atFirst.map((stored) => [stored.uuid, newEntry(stored, restingState(stored))]),
  )
  const life = { isStarted: false, isStopping: false }
  const work = createMappingWork(dependencies, accountIdNow)

  return {
    ...createChanges(dependencies, entries, work, () => life.isStopping),
    all: () => [...entries.values()].map(viewOf),
    find(uuid) {
      const entry = entries.get(uuid)
      return entry && viewOf(entry)
    },
    isChanging: (uuid) => isChanging(entries.get(uuid)),
    async settled(uuid) {
      for (let entry = entries.get(uuid); isChanging(entry); entry = entries.get(uuid)) {
        await entry?.writing
        await entry?.transition
      }
    },
    adopt(stored) {
      const entry = newEntry(stored, restingState(stored))
      entries.set(stored.uuid, entry)
      if (life.isStarted && !life.isStopping) work.run(entry, true)
    },
    start() {
      life.isStarted = true
      for (const entry of entries.values()) if (!entry.running) work.run(entry, true)
    },
    async stop(drainMs) {
      // A request that is still under way must not start a runner behind this.
      life.isStopping = true
      await Promise.all([...entries.values()].map((entry) => stopEntry(entry, drainMs)))
    },
  }
}

/** The changes that are written to disk first. */
function createChanges(
  { files, metrics, batches, removeCheckpoints }: MappingEntriesDependencies,
  entries: Map<string, Entry>,
  { run, follow }: ReturnType<typeof createMappingWork>,
  isStopping: () => boolean,
): Pick<MappingEntries, 'add' | 'replace' | 'remove' | 'setTags'> {
  const refuseStopping = () => {
    if (!isStopping()) return
    throw new SluiceError('ServiceUnavailableException', 'The engine is stopping: try again later.')
  }
  return {
    async add(stored) {
      refuseStopping()
      const entry = newEntry(stored, 'Creating')
      // Added before it is written, so that a second mapping of the same kind is refused meanwhile.
      entries.set(stored.uuid, entry)
      try {
        return await writeFirst(
          entry,
          () => files.write(stored),
          () => follow(entry, async () => run(entry)),
        )
      } catch (thrown) {
        entries.delete(stored.uuid)
        throw thrown
      }
    },
    async replace(stored) {
      refuseStopping()
      const entry = existing(entries, stored.uuid)
      const writeFile = () => {
        entry.next = stored
        return files.write(stored).finally(() => (entry.next = undefined))
      }
      return writeFirst(entry, writeFile, () => {
        entry.state = changingState(entry.stored, stored)
        entry.stored = stored
        follow(entry, async () => run(entry))
      })
    },
    async remove(uuid) {
      refuseStopping()
      const entry = existing(entries, uuid)
      return writeFirst(
        entry,
        () => files.remove(uuid),
        () => {
          entry.state = 'Deleting'
          follow(entry, async () => {
            entries.delete(uuid)
            batches.forget(uuid)
            metrics.mappingRecordsFiltered.remove({ mapping: uuid })
            await removeCheckpoints(applicationOf(uuid))
          })
        },
      )
    },
    setTags: (uuid, change) => setTags({ files, entries, refuseStopping }, uuid, change),
  }
}

async function setTags(
  {
    files,
    entries,
    refuseStopping,
  }: {
    readonly files: MappingFiles
    readonly entries: ReadonlyMap<string, Entry>
    readonly refuseStopping: () => void
  },
  uuid: string,
  change: (tags: Tags) => Tags,
): Promise<boolean> {
  for (;;) {
    refuseStopping()
    const entry = entries.get(uuid)
    if (!entry || entry.state === 'Deleting') return false
    if (entry.writing) {
      await entry.writing
      continue
    }
    const stored = { ...entry.stored, tags: change(entry.stored.tags ?? {}) }
    await write(
      entry,
      () => files.write(stored),
      () => (entry.stored = stored),
    )
    return true
  }
}

/** Starts and stops the runners so that they match what is stored. */
function createMappingWork(dependencies: MappingEntriesDependencies, accountIdNow: () => string) {
  const { logger, runMapping: start = runMapping } = dependencies
  /** @param makesStream whether a missing stream is created: at the start of the process only */
  function run(entry: Entry, makesStream = false): void {
    const { uuid, settings } = entry.stored
    const running = settings.Enabled
      ? start(dependencies, { uuid, settings, accountIdNow, makesStream })
      : undefined
    entry.running = running
    if (!running || settings.StartingPosition !== 'LATEST') {
      entry.state = restingState(entry.stored)
      return
    }
    // At LATEST a record that is put before the positions are known would be skipped.
    if (entry.state === 'Enabled') entry.state = 'Enabling'
    entry.unpositioned = running
    void restWhenPositioned(entry, running)
  }

  /** Stops the runner of a mapping, and then calls `then`. */
  function follow(entry: Entry, then: () => Promise<void>): void {
    entry.unpositioned = undefined
    const transition = (async () => {
      // The request is answered first, with the intermediate state.
      await Promise.resolve()
      await entry.running?.stop(changeDrainMs)
      entry.running = undefined
      await then()
    })()
    entry.transition = transition
      .catch((thrown: unknown) => {
        const { uuid } = entry.stored
        logger.error({ err: thrown, mapping: uuid }, 'an event source mapping could not be changed')
      })
      .finally(() => {
        entry.transition = undefined
      })
  }

  return { run, follow }
}

async function restWhenPositioned(entry: Entry, running: RunningMapping): Promise<void> {
  await running.positioned
  // A change since then, which begins a runner of its own, decides on the state.
  if (entry.unpositioned !== running) return
  entry.unpositioned = undefined
  entry.state = restingState(entry.stored)
}

const newEntry = (stored: StoredMapping, state: MappingState): Entry => ({
  stored,
  next: undefined,
  state,
  running: undefined,
  unpositioned: undefined,
  transition: undefined,
  writing: undefined,
})

async function stopEntry(entry: Entry, drainMs: number): Promise<void> {
  await Promise.all([entry.running?.stop(drainMs), entry.writing])
  await Promise.all([entry.running?.stop(drainMs), entry.transition])
  // A change in progress may have started a new runner.
  await entry.running?.stop(drainMs)
}

const isChanging = (entry: Entry | undefined) =>
  entry?.writing !== undefined || entry?.transition !== undefined

/**
 * Marks the mapping as changing in this turn, writes the change, and calls `then` while the mapping
 * is still marked.
 *
 * @returns the mapping as it is after `then`
 * @throws Error when another change is in progress, or the write fails (rejects)
 */
async function writeFirst(
  entry: Entry,
  writeFile: () => Promise<void>,
  then: () => void,
): Promise<MappingEntry> {
  if (isChanging(entry)) throw new Error(`the mapping ${entry.stored.uuid} is being changed`)
  return write(entry, writeFile, then)
}

async function write(
  entry: Entry,
  writeFile: () => Promise<void>,
  then: () => void,
): Promise<MappingEntry> {
  const writing = writeFile()
  entry.writing = writing.catch(() => undefined)
  try {
    await writing
    then()
    // What follows may change the state before the caller goes on.
    return viewOf(entry)
  } finally {
    entry.writing = undefined
  }
}

export const restingState = ({ settings }: StoredMapping): MappingState =>
  settings.Enabled ? 'Enabled' : 'Disabled'

export function changingState(before: StoredMapping, after: StoredMapping): MappingState {
  if (before.settings.Enabled === after.settings.Enabled) return 'Updating'
  return after.settings.Enabled ? 'Enabling' : 'Disabling'
}

function viewOf(entry: Entry): MappingEntry {
  const { stored, next, state } = entry
  return { stored, next, state, lastResult: () => entry.running?.lastResult() ?? noResult }
}

function existing(entries: ReadonlyMap<string, Entry>, uuid: string): Entry {
  const entry = entries.get(uuid)
  if (!entry) throw new Error(`there is no mapping ${uuid}`)
  return entry
}
