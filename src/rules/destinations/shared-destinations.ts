import { createHash } from 'node:crypto'
import { SluiceError, messageOf } from '../../base/errors.ts'
import type { StateView } from '../../cluster/state/cluster-state.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { DestinationRecords } from './destination-book.ts'
import { isInfluxdb, parseDestination } from './destination-files.ts'
import type { StoredDestination } from './destination-files.ts'

/**
 * The topic rule destinations of a cluster, in the state that its nodes share: one entry of the
 * kind `destination` for each, with what a single engine has in its file.
 *
 * The entry of a web service is named after its URL: each node makes the destinations of a rule
 * that is new, and only the first one succeeds.
 */
export const destinationKind = 'destination'

interface SharedDestinationsDependencies {
  readonly view: StateView
  readonly logger: Pick<Logger, 'error'>
}

export function createSharedDestinations({
  view,
  logger,
}: SharedDestinationsDependencies): DestinationRecords {
  /** The ids of what the entries hold. */
  const uuids = new Map<string, string>()

  async function refused(name: string): Promise<never> {
    // The caller looks at what the other node has written.
    await view.caughtUp()
    const message = `${name} was changed by another node meanwhile: look at it, then try again`
    throw new SluiceError('ConflictingResourceUpdateException', message)
  }

  return {
    async write(destination) {
      const name = nameOf(destination)
      const revision = view.get(name)?.revision
      if (await view.put(name, JSON.stringify(destination), revision)) return
      await refused(textOf(destination))
    },
    async remove(destination) {
      const name = nameOf(destination)
      const revision = view.get(name)?.revision
      if (revision === undefined || (await view.remove(name, revision))) return
      await refused(textOf(destination))
    },
    caughtUp: view.caughtUp,
    follow(listener) {
      const look = (name: string): void => {
        const entry = view.get(name)
        const before = uuids.get(name)
        try {
          const destination = entry && parseDestination(entry.value)
          if (before !== undefined && before !== destination?.uuid) listener(before, undefined)
          if (destination) {
            uuids.set(name, destination.uuid)
            listener(destination.uuid, destination)
          } else uuids.delete(name)
        } catch (thrown) {
          const consequence = before === undefined ? 'it is left out' : 'the last good one stays'
          const text = `a topic rule destination of the cluster cannot be used (${consequence})`
          logger.error({ entry: name, problem: messageOf(thrown) }, text)
        }
      }
      const stop = view.onChange(look)
      view.names().forEach(look)
      return stop
    },
  }
}

function nameOf(destination: StoredDestination): string {
  if (isInfluxdb(destination)) return destination.uuid
  return `url-${createHash('sha256').update(destination.confirmationUrl).digest('hex')}`
}

const textOf = (destination: StoredDestination): string =>
  `the destination ${isInfluxdb(destination) ? destination.uuid : destination.confirmationUrl}`
