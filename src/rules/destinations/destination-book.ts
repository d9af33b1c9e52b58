import { createHash } from 'node:crypto'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { createKeyedQueue } from '../../base/keyed-queue.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { isInfluxdb, openDestinationFiles } from './destination-files.ts'
import type { StoredDestination, StoredHttpDestination } from './destination-files.ts'

/** All topic rule destinations, in memory and on disk. What is in memory is on disk. */
export interface DestinationBook {
  all(): readonly StoredDestination[]
  byUuid(uuid: string): StoredDestination | undefined
  byUrl(confirmationUrl: string): StoredHttpDestination | undefined
  byToken(token: string): StoredHttpDestination | undefined
  /** @throws SluiceError InternalException (rejects): the disk does not take it; nothing changes */
  write(destination: StoredDestination): Promise<void>
  /** @throws SluiceError InternalException (rejects) */
  remove(destination: StoredDestination): Promise<void>
  /** Runs changes one after the other. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result>
  /**
   * The same for what callers ask for, of whom there may be many.
   *
   * @throws SluiceError ConflictingResourceUpdateException (rejects): too many changes wait
   */
  change<Result>(work: () => Promise<Result> | Result): Promise<Result>
  /** Resolves when no change runs or waits. */
  idle(): Promise<void>
}

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
  const byUuid = new Map(destinations.map((each) => [each.uuid, each]))
  const ofHttp = destinations.flatMap((each) => (isInfluxdb(each) ? [] : [each]))
  const uuidByUrl = new Map(ofHttp.map((each) => [each.confirmationUrl, each.uuid]))
  /** By the digest of a token, so that the time of a look-up tells nothing of the tokens. */
  const uuidByToken = new Map(ofHttp.map((each) => [digestOf(each.token), each.uuid]))
  const queue = createKeyedQueue()

  function httpOf(uuid = ''): StoredHttpDestination | undefined {
    const stored = byUuid.get(uuid)
    return stored === undefined || isInfluxdb(stored) ? undefined : stored
  }

  return {
    all: () => [...byUuid.values()],
    byUuid: (uuid) => byUuid.get(uuid),
    byUrl: (url) => httpOf(uuidByUrl.get(url)),
    byToken: (token) => httpOf(uuidByToken.get(digestOf(token))),
    async write(destination) {
      await files.write(destination).catch(unwritable)
      const { uuid } = destination
      uuidByToken.delete(digestOf(httpOf(uuid)?.token ?? ''))
      byUuid.set(uuid, destination)
      if (isInfluxdb(destination)) return
      uuidByUrl.set(destination.confirmationUrl, uuid)
      uuidByToken.set(digestOf(destination.token), uuid)
    },
    async remove(destination) {
      await files.remove(destination.uuid).catch(unwritable)
      byUuid.delete(destination.uuid)
      if (isInfluxdb(destination)) return
      uuidByUrl.delete(destination.confirmationUrl)
      uuidByToken.delete(digestOf(destination.token))
    },
    inTurn: (work) => queue.run(line, work),
    change(work) {
      if (queue.length(line) <= changesWaitingMax) return queue.run(line, async () => work())
      const message = `${changesWaitingMax} other changes of destinations are waiting`
      return Promise.reject(new SluiceError('ConflictingResourceUpdateException', message))
    },
    idle: () => queue.idle(),
  }
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')

function unwritable(thrown: unknown): never {
  const message = `a destination cannot be written: ${messageOf(thrown)}`
  throw new SluiceError('InternalException', message, { cause: thrown })
}
