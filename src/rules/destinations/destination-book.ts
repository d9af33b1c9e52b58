import { createHash } from 'node:crypto'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { createKeyedQueue } from '../../base/keyed-queue.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { openDestinationFiles } from './destination-files.ts'
import type { StoredDestination } from './destination-files.ts'

/** All topic rule destinations, in memory and on disk. What is in memory is on disk. */
export interface DestinationBook {
  all(): readonly StoredDestination[]
  byUuid(uuid: string): StoredDestination | undefined
  byUrl(confirmationUrl: string): StoredDestination | undefined
  byToken(token: string): StoredDestination | undefined
  /** @throws SluiceError InternalException (rejects): the disk does not take it; nothing changes */
  write(destination: StoredDestination): Promise<void>
  /** @throws SluiceError InternalException (rejects) */
  remove(destination: StoredDestination): Promise<void>
  /** Runs changes one after the other. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result>
  /** Changes that run or wait. */
  changes(): number
  /** Resolves when no change runs or waits. */
  idle(): Promise<void>
}

/** All changes are of one line: they are few, and each looks at all destinations. */
const line = 'all'

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
  const uuidByUrl = new Map(destinations.map((each) => [each.confirmationUrl, each.uuid]))
  /** By the digest of a token, so that the time of a look-up tells nothing of the tokens. */
  const uuidByToken = new Map(destinations.map((each) => [digestOf(each.token), each.uuid]))
  const queue = createKeyedQueue()

  return {
    all: () => [...byUuid.values()],
    byUuid: (uuid) => byUuid.get(uuid),
    byUrl: (url) => byUuid.get(uuidByUrl.get(url) ?? ''),
    byToken: (token) => byUuid.get(uuidByToken.get(digestOf(token)) ?? ''),
    async write(destination) {
      await files.write(destination).catch(unwritable)
      const { uuid, confirmationUrl, token } = destination
      uuidByToken.delete(digestOf(byUuid.get(uuid)?.token ?? ''))
      byUuid.set(uuid, destination)
      uuidByUrl.set(confirmationUrl, uuid)
      uuidByToken.set(digestOf(token), uuid)
    },
    async remove({ uuid, confirmationUrl, token }) {
      await files.remove(uuid).catch(unwritable)
      byUuid.delete(uuid)
      uuidByUrl.delete(confirmationUrl)
      uuidByToken.delete(digestOf(token))
    },
    inTurn: (work) => queue.run(line, work),
    changes: () => queue.length(line),
    idle: () => queue.idle(),
  }
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')

function unwritable(thrown: unknown): never {
  const message = `a destination cannot be written: ${messageOf(thrown)}`
  throw new SluiceError('InternalException', message, { cause: thrown })
}
