/**
 * How long other keys wait behind the backlog of a hot one: a real outbox and producer, a stream of
 * four shards with the limits of AWS, and a clock that moves only when nothing else does.
 */
import { hashKeyOf, hashKeySpace } from '../../src/base/hash-key.ts'
import type { RecordOutcome } from '../../src/aws/call/call-outcome.ts'
import type { KinesisCalls } from '../../src/aws/kinesis-calls.ts'
import { listIn } from '../../src/delivery/call/outgoing.ts'
import { uniformRanges } from '../../src/lab/streams/resharding.ts'
import { createShardLimits } from '../../src/lab/streams/shard-limits.ts'
import type { Ordering } from '../../src/outbox/outbox.ts'
import type { ManualClock } from '../helpers/manual-clock.ts'
import { destination, newRecordFor } from '../outbox/outbox-parts.ts'
import { openClockedDelivery } from './clocked-delivery.ts'
import { idOfShard, keysOfShard } from './shards/shard-parts.ts'

const shardCount = 4
/** From a call to its answer. */
const latencyMs = 20
const otherKeys = [1, 2, 3].flatMap((shard) => keysOfShard(shard, 20))
const recordsOfOtherKey = 5
const appendedTogether = 1_000

interface Given {
  readonly ordering: Ordering
  /** Records of the hot key, or of the hot keys together. */
  readonly backlog: number
  readonly hotKeys?: number
  /** Whether the role allows ListShards. */
  readonly areShardsKnown: boolean
  /** Records of slow keys in memory. */
  readonly heldRecordsMax?: number
}

/** A stream that answers by the clock, and notes what it took. */
function createStream(clock: ManualClock, { areShardsKnown }: Pick<Given, 'areShardsKnown'>) {
  const limits = Array.from({ length: shardCount }, () =>
    createShardLimits({ writes: true, reads: false, fanOut: false }),
  )
  const taken = new Map<string, string[]>()

  function take(partitionKey: string, data: Buffer): RecordOutcome {
    const shard = Number(hashKeyOf(partitionKey) / (hashKeySpace / BigInt(shardCount)))
    const shardId = idOfShard(shard)
    const bytes = data.length + partitionKey.length
    if (limits[shard]?.takeWrite(bytes, clock.monotonicMs()) !== true) {
      const code = 'ProvisionedThroughputExceededException'
      const message = `Rate exceeded for shard ${shardId} in stream stream under account 0.`
      return { ok: false, failure: { code, message, source: 'Kinesis' } }
    }
    listIn(taken, partitionKey).push(data.toString())
    return { ok: true, shardId, sequenceNumber: '1' }
  }

  const calls: KinesisCalls = {
    async put({ records }) {
      await clock.sleep(latencyMs)
      return {
        answered: true,
        records: records.map(({ partitionKey, data }) => take(partitionKey, data)),
      }
    },
    recordBytesMax: () => Promise.resolve({ kind: 'denied' }),
    listShards: () =>
      Promise.resolve(
        areShardsKnown
          ? {
              listed: true,
              shards: uniformRanges(shardCount).map((range, index) => ({
                shardId: idOfShard(index),
                ...range,
              })),
            }
          : {
              listed: false,
              failure: { code: 'AccessDeniedException', message: 'no', source: 'Kinesis' },
            },
      ),
  }
  return { calls, taken }
}

/**
 * Appends the backlog of the hot keys, then records of others, and starts the producer.
 *
 * @returns `waitedMs`: how long the others waited until all of theirs had arrived, in milliseconds
 *   of the clock; `accepted` and `taken`: the texts of each key, in order
 */
export async function waitBehindHotKey(given: Given) {
  const { ordering, backlog, hotKeys = 1 } = given
  const stream: { taken: ReadonlyMap<string, string[]> } = { taken: new Map() }
  const { outbox, producer, clock, moveUntil } = await openClockedDelivery((streamClock) => {
    const { calls, taken } = createStream(streamClock, given)
    stream.taken = taken
    return calls
  }, given)
  const { taken } = stream

  const to = destination('stream', { ordering })
  const hot = keysOfShard(0, hotKeys)
  const accepted = new Map<string, string[]>()
  const newRecord = (key: string, text: string) => {
    listIn(accepted, key).push(text)
    return newRecordFor(to, key, text)
  }
  for (let first = 0; first < backlog; first += appendedTogether) {
    const texts = Array.from({ length: appendedTogether }, (_, index) => first + index)
    await outbox.append(texts.map((text) => newRecord(hot[text % hotKeys] ?? '', String(text))))
  }
  for (let text = 0; text < recordsOfOtherKey; text++) {
    await outbox.append(otherKeys.map((key) => newRecord(key, String(text))))
  }

  const startMs = clock.monotonicMs()
  producer.start()
  const haveAll = () => otherKeys.every((key) => taken.get(key)?.length === recordsOfOtherKey)
  await moveUntil(haveAll)
  const waitedMs = clock.monotonicMs() - startMs
  return {
    waitedMs,
    accepted,
    taken,
    /** Waits until everything has arrived, and gives the milliseconds since the start. */
    async drain(): Promise<number> {
      await moveUntil(() => outbox.size().records === 0)
      return clock.monotonicMs() - startMs
    },
  }
}
