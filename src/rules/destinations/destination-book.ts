import { createHash } from 'node:crypto'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { createKeyedQueue } from '../../base/keyed-queue.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { isInfluxdb, openDestinationFiles } from './destination-files.ts'
import type { StoredDestination, StoredHttpDestination } from './destination-files.ts'

/** All topic rule destinations, in memory. What is in memory is where they are kept. */
export interface DestinationBook {
  all(): readonly StoredDestination[]
  byUuid(uuid: string): StoredDestination | undefined
  byUrl(confirmationUrl: string): StoredHttpDestination | undefined
  byToken(token: string): StoredHttpDestination | undefined
  /**
   * Writes over what the caller has read, without awaiting anything in between.
   *
   * @throws SluiceError InternalException: the disk does not take it; in a cluster
   *   ServiceUnavailableException, ConflictingResourceUpdateException (rejects): nothing changes
   */
  write(destination: StoredDestination): Promise<void>
  /** @throws SluiceError as `write` does (rejects) */
  remove(destination: StoredDestination): Promise<void>
  /** Runs changes one after the other. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result>
  /**
   * The same for what callers ask for, of whom there may be many.
   *
   * @throws SluiceError ConflictingResourceUpdateException (rejects): too many changes wait
   */
  change<Result>(work: () => Promise<Result> | Result): Promise<Result>
  /** Resolves when what other nodes have changed is here; at once where there are none. */
  caughtUp(): Promise<void>
  /** Told of changes that other nodes make. @returns stops it */
  onChange(listener: (uuid: string) => void): () => void
  /** Resolves when no change runs or waits. */
  idle(): Promise<void>
}

/** Where destinations are kept. */
export interface DestinationRecords {
  write(destination: StoredDestination): Promise<void>
  remove(destination: StoredDestination): Promise<void>
  readonly caughtUp?: (() => Promise<void>) | undefined
  /** Tells all that there are, and then each change, also those of this node. @returns stops it */
  readonly follow?: ((listener: DestinationListener) => () => void) | undefined
}

type DestinationListener = (uuid: string, destination: StoredDestination | undefined) => void

/** All changes are of one line: they are few, and each looks at all destinations. */
const line = 'all'
/** Changes that may wait for the running one. */
const changesWaitingMax = 64

/** @throws what the system throws (rejects): the folder cannot be made or listed */
export async function openDestinationBook(
  { logger }: { readonly logger: Pick<Logger, 'error'> },
  folder: string,
): Promise<DestinationBook> {
  const files = await openDestinationFiles(folder)
  const { destinations, problems } = await files.readAll()
  for (const problem of problems) {
    logger.error(`a topic rule destination cannot be used, and is left out: ${problem}`)
  }
  return createDestinationBook(
    { write: (each) => files.write(each), remove: ({ uuid }) => files.remove(uuid) },
    destinations,
  )
}

/** @param destinations that are there at the start */
export function createDestinationBook(
  records: DestinationRecords,
  destinations: readonly StoredDestination[] = [],
): DestinationBook {
  const index = createIndex()
  const listeners = new Set<(uuid: string) => void>()
  for (const each of destinations) index.set(each.uuid, each)
  records.follow?.((uuid, destination) => {
    index.set(uuid, destination)
    for (const listener of listeners) listener(uuid)
  })
  const queue = createKeyedQueue()
  const caughtUp = records.caughtUp ?? (() => Promise.resolve())
  const inTurn = <Result>(work: () => Promise<Result> | Result): Promise<Result> =>
    queue.run(line, async () => {
      // A change begins with what every node wrote before it.
      if (records.caughtUp) await records.caughtUp()
      return work()
    })

  return {
    ...index.read,
    async write(destination) {
      await records.write(destination).catch(unwritable)
      index.set(destination.uuid, destination)
    },
    async remove(destination) {
      await records.remove(destination).catch(unwritable)
      index.set(destination.uuid, undefined)
    },
    inTurn,
    change(work) {
      if (queue.length(line) <= changesWaitingMax) return inTurn(work)
      const message = `${changesWaitingMax} other changes of destinations are waiting`
      return Promise.reject(new SluiceError('ConflictingResourceUpdateException', message))
    },
    caughtUp,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    idle: () => queue.idle(),
  }
}

function createIndex() {
  const byUuid = new Map<string, StoredDestination>()
  const uuidByUrl = new Map<string, string>()
  /** By the digest of a token, so that the time of a look-up tells nothing of the tokens. */
  const uuidByToken = new Map<string, string>()

  function httpOf(uuid = ''): StoredHttpDestination | undefined {
    const stored = byUuid.get(uuid)
    return stored === undefined || isInfluxdb(stored) ? undefined : stored
  }
  function forget(uuid: string): void {
    const before = httpOf(uuid)
    byUuid.delete(uuid)
    if (before === undefined) return
    uuidByUrl.delete(before.confirmationUrl)
    uuidByToken.delete(digestOf(before.token))
  }

  return {
    read: {
      all: () => [...byUuid.values()],
      byUuid: (uuid: string) => byUuid.get(uuid),
      byUrl: (url: string) => httpOf(uuidByUrl.get(url)),
      byToken: (token: string) => httpOf(uuidByToken.get(digestOf(token))),
    },
    set(uuid: string, destination: StoredDestination | undefined): void {
      forget(uuid)
      if (destination === undefined) return
      byUuid.set(uuid, destination)
      if (isInfluxdb(destination)) return
      uuidByUrl.set(destination.confirmationUrl, uuid)
      uuidByToken.set(digestOf(destination.token), uuid)
    },
  }
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')

function unwritable(thrown: unknown): never {
  if (thrown instanceof SluiceError) throw thrown
  const message = `a destination cannot be written: ${messageOf(thrown)}`
  throw new SluiceError('InternalException', message, { cause: thrown })
}
