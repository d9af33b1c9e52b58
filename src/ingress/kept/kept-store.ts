/**
 * What is kept for MQTT clients on disk: one LMDB environment, `<data folder>/kept/`, with the
 * tables of kept-rows.ts. The keys are numbers as u64, which count up in the order of writing.
 *
 * Invariants:
 * - One transaction at a time, and all of it is on disk, or nothing.
 * - A session has its row no later than the messages in its queue.
 * - A topic's retained message is its last row; one without payload says that there is none.
 */
import type { Database, RootDatabase } from 'lmdb'
import type { Clock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { committed, openEnvironment } from '../../storage/lmdb-environment.ts'
import type { EnvironmentCheck } from '../../storage/lmdb-environment.ts'
import type { Quarantine } from '../../storage/quarantine.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { createKeptLog } from './kept-log.ts'
import type { KeptChanges, KeptLog } from './kept-log.ts'
import { decodeMessage, decodeQueueRow, decodeSession, idOfKey, rowKey } from './kept-rows.ts'
import type { KeptTable, MessageRow, QueueRow, SessionRow } from './kept-rows.ts'

/** The folder of the environment, relative to the data folder. */
export const keptFolderName = 'kept'

/** What an earlier process left, each in the order of its rows. */
interface KeptContents {
  readonly messages: ReadonlyMap<number, MessageRow>
  readonly queue: readonly Stored<QueueRow>[]
  readonly retained: Iterable<Stored<MessageRow>>
  readonly sessions: readonly Stored<SessionRow>[]
}

type Stored<Row> = readonly [id: number, row: Row]

export interface KeptStore {
  readonly contents: KeptContents
  readonly log: KeptLog
  close(): Promise<void>
}

interface KeptStoreDependencies {
  readonly clock: Clock
  readonly logger: Logger
  /** Takes rows that are damaged: they must not keep the others from being read. */
  readonly quarantine: Quarantine
}

/** @throws SluiceError DataFolderDamaged, DataFolderUnusable (rejects) */
export async function openKeptStore(
  { clock, logger, quarantine }: KeptStoreDependencies,
  folder: string,
  check: Pick<EnvironmentCheck, 'wasMade' | 'beginsAnew'> = {},
): Promise<KeptStore> {
  const tables = await openTables(folder, check)
  const reader = createReader(tables)
  const contents = {
    messages: new Map(reader.read('messages', decodeMessage)),
    queue: reader.read('queue', decodeQueueRow),
    retained: reader.read('retained', decodeMessage),
    sessions: reader.read('sessions', decodeSession),
  }
  await setAside({ tables, quarantine, logger }, reader.damaged)
  const log = createKeptLog(
    {
      clock,
      write: (changes) => committed(tables.environment.batch(() => writeInto(tables, changes))),
      onFailed: (error) =>
        logger.error(
          { cause: messageOf(error) },
          'what is kept for MQTT clients cannot be written',
        ),
    },
    { lastId: reader.lastId() },
  )
  return {
    contents,
    log,
    async close() {
      await log.close()
      await tables.environment.close()
    },
  }
}

type Table = Database<Buffer, Buffer>
type Tables = Readonly<Record<KeptTable, Table>> & {
  readonly environment: RootDatabase<Buffer, Buffer>
}

async function openTables(
  folder: string,
  check: Pick<EnvironmentCheck, 'wasMade' | 'beginsAnew'>,
): Promise<Tables> {
  const binary = { encoding: 'binary', keyEncoding: 'binary' } as const
  const without = 'to begin without sessions, queued and retained messages'
  const wayOut = {
    damaged: `put it back from a copy, or remove the folder ${without}`,
    lost: `put it back from a copy, or start with --begin-anew ${without}`,
  }
  try {
    const environment = await openEnvironment<Buffer, Buffer>(folder, binary, { ...check, wayOut })
    const table = (name: KeptTable): Table => environment.openDB({ name, ...binary })
    return {
      environment,
      messages: table('messages'),
      queue: table('queue'),
      retained: table('retained'),
      sessions: table('sessions'),
    }
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    const message = `${folder} cannot be opened: ${messageOf(thrown)}`
    throw new SluiceError('DataFolderUnusable', message, { cause: thrown })
  }
}

function writeInto(tables: Tables, changes: KeptChanges): void {
  for (const [table, rows] of changes) {
    for (const [id, row] of rows) {
      if (row === undefined) void tables[table].remove(rowKey(id))
      else void tables[table].put(rowKey(id), row)
    }
  }
}

interface DamagedRow {
  readonly table: KeptTable
  readonly key: Buffer
  readonly value: Buffer
}

/** Rows that cannot be put in quarantine stay, and are found again at the next start. */
async function setAside(
  {
    tables,
    quarantine,
    logger,
  }: Pick<KeptStoreDependencies, 'quarantine' | 'logger'> & { readonly tables: Tables },
  damaged: readonly DamagedRow[],
): Promise<void> {
  if (damaged.length === 0) return
  const fields = { rows: damaged.length, file: quarantine.file }
  try {
    await quarantine.keep(damaged)
    await committed(
      tables.environment.batch(() => {
        for (const { table, key } of damaged) void tables[table].remove(key)
      }),
    )
    logger.error(fields, 'rows that are kept for MQTT clients are damaged: they are in quarantine')
  } catch (thrown) {
    const reason = messageOf(thrown)
    logger.error({ ...fields, reason }, 'damaged rows that are kept for MQTT clients stay there')
  }
}

function createReader(tables: Tables) {
  const damaged: DamagedRow[] = []
  let lastId = 0
  return {
    damaged,
    lastId: () => lastId,
    read<Row>(table: KeptTable, decode: (key: Buffer, value: Buffer) => Row): Stored<Row>[] {
      const rows: Stored<Row>[] = []
      for (const { key, value } of tables[table].getRange({})) {
        const id = idOfKey(key)
        if (id !== undefined && id > lastId) lastId = id
        try {
          const row = decode(key, value)
          if (id !== undefined) rows.push([id, row])
        } catch {
          damaged.push({ table, key: Buffer.from(key), value: Buffer.from(value) })
        }
      }
      return rows
    },
  }
}
