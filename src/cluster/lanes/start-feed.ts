import type { Destination } from '../../outbox/outbox.ts'
import { parseDestination } from '../../outbox/store/destination.ts'
import { decodeFacts } from '../../outbox/store/record-codec.ts'
import type { StoredChunk } from '../log/replicated-log.ts'
import { decodeChunk } from './chunk-codec.ts'
import { noDestinationToken } from './destination-token.ts'
import type { LaneChunk, LaneChunks, OfRecords } from './lane-chunks.ts'
import { feedLane } from './lane-feed.ts'
import { encodeLetter } from './letter-codec.ts'
import type { OwnedLane, OwnedLaneDependencies, SettlingLetter } from './owned-lane.ts'
import { actionOfDeadLetter, recordOfChunk } from './records-of-chunk.ts'

/** Dead letters of actions that failed that are written together. */
const failedTogetherMax = 200

interface TakeParts extends Pick<
  OwnedLaneDependencies,
  'log' | 'outbox' | 'clock' | 'budget' | 'placed' | 'limitedLog'
> {
  readonly owned: OwnedLane
  readonly signal: AbortSignal
  readonly chunks: LaneChunks
  readonly hold: (chunk: LaneChunk) => void
}

/** Feeds a lane into the outbox until the signal aborts. */
export function startFeed(parts: TakeParts): void {
  const { owned, signal, limitedLog } = parts
  const { lane } = owned
  const onRefused = (reason: string, { destination, sequence }: StoredChunk) =>
    limitedLog.warn(
      'refused',
      { lane, destination, sequence, reason },
      'a chunk of the log waits: the outbox does not take it',
    )
  void feedLane({ ...parts, take: createTake(parts), onRefused }, lane, signal)
}

/** Makes the function that puts a chunk into the outbox. */
function createTake({ outbox, owned, signal, chunks, hold, placed, limitedLog }: TakeParts) {
  const destinationOf = createDestinationReader()
  const read = (
    { destination, sequence, data }: StoredChunk,
    of: OfRecords,
    facts?: Pick<LaneChunk, 'json' | 'acceptedAtMs'>,
  ) => chunks.read({ destination, sequence, bytes: data.length, ...facts }, of)

  async function append(
    stored: StoredChunk,
    { json, values }: { readonly json: string; readonly values: readonly Buffer[] },
  ): Promise<void> {
    const destination = destinationOf(json)
    const all = values.map((value) => recordOfChunk(value, destination))
    const [first] = values
    const acceptedAtMs = first === undefined ? 0 : decodeFacts(first).acceptedAtMs
    const chunk = read(stored, all, { json, acceptedAtMs })
    const indexes = [...all.keys()].filter((index) => chunk.settled[index] === 0)
    const records = indexes.flatMap((index) => all[index] ?? [])
    if (records.length === 0) return hold(chunk)
    try {
      await outbox.append(records, {
        signal,
        onPlaced: (sequences) => placed.add({ owner: owned, chunk, sequences, indexes }),
      })
    } catch (thrown) {
      // Nothing of it is in the outbox: it is read again.
      chunk.left = 0
      throw thrown
    }
    hold(chunk)
  }

  /** Actions that failed made no records: they are dead letters from the beginning. */
  async function takeFailed(stored: StoredChunk, values: readonly Buffer[]): Promise<void> {
    const actions = values.map(actionOfDeadLetter)
    const chunk = read(stored, actions)
    const letters = values.flatMap((value, index): SettlingLetter[] => {
      if (chunk.settled[index] !== 0) return []
      const data = encodeLetter({ kind: 'deadLetter', destination: '', value })
      return [{ data, chunk, index, of: actions[index] ?? noAction }]
    })
    hold(chunk)
    for (let first = 0; first < letters.length; first += failedTogetherMax) {
      await owned.giveUp(letters.slice(first, first + failedTogetherMax))
    }
  }

  async function takeDamaged(stored: StoredChunk): Promise<void> {
    const { lane, destination, sequence, data: value } = stored
    limitedLog.error(
      'damaged',
      { lane, sequence, destination, bytes: value.length },
      'a chunk of the log is damaged: it is among the dead letters as it was, so that its records ' +
        'can be looked for; check the disks of the NATS servers',
    )
    const chunk = read(stored, 1)
    hold(chunk)
    const data = encodeLetter({ kind: 'damagedChunk', destination, value })
    await owned.giveUp([{ data, chunk, index: undefined, of: noAction }])
  }

  return async (stored: StoredChunk): Promise<void> => {
    const decoded = decodeChunk(stored.data)
    if (decoded.kind === 'newer') throw new Error('a later release wrote it: upgrade this node')
    if (decoded.kind === 'damaged') return takeDamaged(stored)
    if (stored.destination === noDestinationToken) return takeFailed(stored, decoded.values)
    return append(stored, decoded)
  }
}

const noAction = Object.freeze({ ruleName: '', actionIndex: 0 })

/** Destinations by their canonical texts, the same object for the same text. */
function createDestinationReader(): (json: string) => Destination {
  let last: { readonly json: string; readonly destination: Destination } | undefined
  return (json) => {
    if (last?.json !== json) last = { json, destination: parseDestination(json) }
    return last.destination
  }
}
