/**
 * Shadows on disk: one LMDB environment in a folder of its own.
 *
 *     [thing, shadow]  ->  JSON with a checksum (shadow-row.ts)
 *
 * The classic shadow has the empty name. A shadow that was deleted leaves a row with its version
 * and the time, because an update within 48 hours goes on counting [AWS IoT Developer Guide,
 * "Deleting a shadow"].
 *
 * A write can be read at once, before it is on disk: `pending` holds it until then.
 */
import type { RootDatabase } from 'lmdb'
import type { Clock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { committed, openEnvironment } from '../../storage/lmdb-environment.ts'
import type { EnvironmentCheck } from '../../storage/lmdb-environment.ts'
import { decodeShadowRow, encodeShadowRow } from './shadow-row.ts'
import type { StoredShadow } from './shadow-row.ts'

/** Answers at once, or later where other nodes have to be asked. */
export interface ShadowStore {
  /**
   * @returns the document; the last version of one that was deleted within 48 hours; or undefined
   * @throws SluiceError DataFolderDamaged: the row is not as it was written
   */
  get(thingName: string, shadowName: string | undefined): Soon<StoredShadow | undefined>
  /**
   * Writes what `decide` makes of a shadow, which nobody changes in between. It may decide again
   * when another node was faster.
   *
   * @throws SluiceError DataFolderDamaged
   */
  change<Outcome extends ShadowDecision>(
    thingName: string,
    shadowName: string | undefined,
    decide: (seen: SeenShadow) => Outcome,
  ): Soon<{
    readonly outcome: Outcome
    /** Resolves when the change is on disk; undefined when nothing changed. */
    readonly durable: Promise<void> | undefined
  }>
  /** Names of a thing's named shadows, in order: at most `max`, after `after`. */
  names(thingName: string, page: { readonly after: string; readonly max: number }): Soon<string[]>
  /** Shadows of things whose names begin with `prefix`, in order; not those that were deleted. */
  list(query: ShadowQuery): Soon<ShadowPage>
  close(): Promise<void>
}

export type Soon<Value> = Value | Promise<Value>

interface SeenShadow {
  readonly stored: StoredShadow | undefined
  /** There is no such shadow, and there are as many as may be. */
  readonly isFull: boolean
}

export interface ShadowDecision {
  /** Undefined: nothing is written. */
  readonly change?: StoredShadow | undefined
}

type ShadowPlace = readonly [thingName: string, shadowName: string]

export interface ShadowQuery {
  readonly prefix: string
  readonly after?: ShadowPlace | undefined
  readonly max: number
}

export interface ShadowPage {
  /** The name of a classic shadow is empty. */
  readonly found: readonly {
    readonly thingName: string
    readonly shadowName: string
    readonly version: number
  }[]
  /** The last row that was read; undefined when there are no more. */
  readonly last: ShadowPlace | undefined
}

/** Rows that one page reads: it may end before it is full where shadows were deleted. */
const listedRowsMax = 5_000

/** The folder in the data folder. */
export const shadowsFolderName = 'shadows'

/** Shadows, with those deleted in the last 48 hours. */
export const shadowsMax = 100_000
/** How long the version of a deleted shadow is remembered. */
export const rememberedMs = 48 * 3_600_000
const sweepIntervalMs = 3_600_000
/** Rows that one sweep removes; the next sweep goes on. */
const sweptMax = 10_000

type RowKey = [thingName: string, shadowName: string]
type Table = RootDatabase<Buffer, RowKey>

/** @throws SluiceError DataFolderDamaged, DataFolderUnusable (rejects) */
export async function openShadowStore(
  { clock }: { readonly clock: Clock },
  folder: string,
  check: Pick<EnvironmentCheck, 'wasMade' | 'beginsAnew'> = {},
): Promise<ShadowStore> {
  const table = await openTable(folder, check)
  const pending = new Map<string, StoredShadow>()
  let count = rowsOf(table)

  function read(key: RowKey): StoredShadow | undefined {
    const name = nameOf(key)
    const waiting = pending.get(name)
    if (waiting !== undefined) return waiting
    const stored = table.get(key)
    return stored && decodeShadowRow(name, stored)
  }
  const stopSweeping = sweepHourly(table, clock, () => (count = rowsOf(table)))

  const get = (key: RowKey): StoredShadow | undefined => {
    const stored = read(key)
    return isOutdated(stored, clock) ? undefined : stored
  }
  async function put(key: RowKey, stored: StoredShadow): Promise<void> {
    const name = nameOf(key)
    const row = encodeShadowRow(name, stored)
    const isNew = !pending.has(name) && !table.doesExist(key)
    pending.set(name, stored)
    if (isNew) count += 1
    try {
      await committed(table.batch(() => void table.put(key, row)))
    } catch (thrown) {
      if (isNew) count -= 1
      throw thrown
    } finally {
      if (pending.get(name) === stored) pending.delete(name)
    }
  }

  return {
    get: (thingName, shadowName = '') => get([thingName, shadowName]),
    change(thingName, shadowName = '', decide) {
      const key: RowKey = [thingName, shadowName]
      const stored = get(key)
      const outcome = decide({ stored, isFull: stored === undefined && count >= shadowsMax })
      const { change } = outcome
      return { outcome, durable: change && put(key, change) }
    },
    names: (thingName, page) => namesOf({ table, pending, read }, thingName, page),
    list: (query) => listShadows(table, query, (key) => readable(key, read)),

    async close() {
      stopSweeping()
      await table.close()
    },
  }
}

function namesOf(
  {
    table,
    pending,
    read,
  }: {
    readonly table: Table
    readonly pending: ReadonlyMap<string, StoredShadow>
    readonly read: (key: RowKey) => StoredShadow | undefined
  },
  thingName: string,
  { after, max }: { readonly after: string; readonly max: number },
): string[] {
  const found = new Set<string>()
  for (const key of table.getKeys({ start: [thingName, after] })) {
    const [owner, name] = key
    if (owner !== thingName || found.size > max) break
    if (name > after && read(key)?.document !== undefined) found.add(name)
  }
  for (const [waiting, { document }] of pending) {
    const [owner = '', name = ''] = waiting.split(separator)
    if (owner === thingName && name > after && document !== undefined) found.add(name)
  }
  return [...found].toSorted(byCodeUnits).slice(0, max)
}

function listShadows(
  table: Table,
  { prefix, after, max }: ShadowQuery,
  read: (key: RowKey) => StoredShadow | undefined,
): ShadowPage {
  const found: ShadowPage['found'][number][] = []
  let last: ShadowPlace | undefined
  let looked = 0
  const start: RowKey = after === undefined || after[0] < prefix ? [prefix, ''] : [...after]
  for (const key of table.getKeys({ start })) {
    const [thingName, shadowName] = key
    if (!thingName.startsWith(prefix)) break
    if (after?.[0] === thingName && after[1] === shadowName) continue
    if (found.length === max || looked++ === listedRowsMax) return { found, last }
    last = key
    const stored = read(key)
    const version = stored?.document?.version
    if (version !== undefined) found.push({ thingName, shadowName, version })
  }
  return { found, last: undefined }
}

async function openTable(
  folder: string,
  check: Pick<EnvironmentCheck, 'wasMade' | 'beginsAnew'>,
): Promise<Table> {
  const wayOut = {
    damaged: 'put it back from a copy, or remove the folder to begin without shadows',
    lost: 'put it back from a copy, or start with --begin-anew to begin without shadows',
  }
  try {
    return await openEnvironment<Buffer, RowKey>(
      folder,
      { encoding: 'binary' },
      { ...check, wayOut },
    )
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    throw new SluiceError(
      'DataFolderUnusable',
      `the shadows in ${folder} cannot be opened: ${messageOf(thrown)}`,
      { cause: thrown },
    )
  }
}

/**
 * Removes the rows of shadows that were deleted long ago.
 *
 * @returns stops it
 */
function sweepHourly(table: Table, clock: Clock, swept: () => void): () => void {
  let cancel: () => void

  async function sweep(): Promise<void> {
    const outdated: RowKey[] = []
    for (const { key, value } of table.getRange()) {
      if (outdated.length === sweptMax) break
      if (
        isOutdated(
          readable(key, () => decodeShadowRow(nameOf(key), value)),
          clock,
        )
      )
        outdated.push(key)
    }
    if (outdated.length === 0) return
    await committed(table.batch(() => outdated.forEach((key) => void table.remove(key))))
    swept()
  }
  function plan(): void {
    cancel = clock.after(sweepIntervalMs, () => {
      // A row that cannot be removed now is looked at again.
      sweep().then(plan, plan)
    })
  }
  plan()
  return () => cancel()
}

function isOutdated(stored: StoredShadow | undefined, clock: Clock): boolean {
  if (stored === undefined || stored.document !== undefined) return false
  return clock.wallMs() - stored.deletedMs > rememberedMs
}

/** Undefined for a damaged row, which is kept. */
function readable(
  key: RowKey,
  read: (key: RowKey) => StoredShadow | undefined,
): StoredShadow | undefined {
  try {
    return read(key)
  } catch {
    return undefined
  }
}

/** No name of a thing or a shadow holds it. */
const separator = '~'
export const rowName = (thingName: string, shadowName: string): string =>
  `${thingName}${separator}${shadowName}`
const nameOf = ([thingName, shadowName]: RowKey): string => rowName(thingName, shadowName)

const rowsOf = (table: Table): number =>
  (table.getStats() as { readonly entryCount: number }).entryCount

const byCodeUnits = (left: string, right: string): number => (left < right ? -1 : 1)
