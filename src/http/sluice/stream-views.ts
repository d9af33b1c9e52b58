import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import type { Producer, ProducerStream } from '../../delivery/producer.ts'
import { parseStreamArn } from '../../lab/streams/namespace.ts'
import type { StreamView, StreamWithShards } from '../../lab/streams/stream-view.ts'
import type { Redaction } from '../../redaction/redaction.ts'
import type { LabDependencies } from './lab-faults.ts'

/** How `/v1/streams` shows streams: what the lab stores, and what the producer knows. */
interface StreamViews {
  list(): Promise<readonly object[]>
  /** @throws SluiceError ResourceNotFoundException (rejects) */
  describe(reference: StreamToFind): Promise<object>
}

interface StreamToFind {
  readonly streamName: string
  readonly streamArn?: string | undefined
}

interface StreamViewDependencies extends LabDependencies {
  readonly sentStreams: Producer['streams']
  readonly clock: Clock
  readonly redaction?: Redaction | undefined
}

export function createStreamViews({
  inspection: lab,
  sentStreams,
  clock,
  redaction,
}: StreamViewDependencies): StreamViews {
  // The lab knows its shards: a call for them would use up fault rules.
  const sentOf = () => sentStreams(lab === undefined)
  return {
    async list() {
      const sent = sentOf()
      if (!lab) return groupsOf(sent).map((group) => summaryOf(group, clock))
      const streams = await lab.streams()
      return streams.map((stream) => ({
        ...labMembers(stream),
        throttledShards: throttledIn(sent.filter((of) => isSame(of, stream))).length,
      }))
    },
    async describe(reference) {
      if (!lab) return describeSent(reference, groupsOf(sentOf()), clock)
      const stream = await lab.stream(reference, redaction?.names)
      const sent = sentOf().filter((of) => isSame(of, stream))
      return describeOfLab(stream, sent, clock)
    },
  }
}

const labMembers = (stream: StreamView) => ({
  ...stream,
  region: parseStreamArn(stream.streamArn)?.region ?? '',
})

function describeOfLab(
  stream: StreamWithShards,
  sent: readonly ProducerStream[],
  clock: Clock,
): object {
  const throttled = new Map(throttledIn(sent).map((shard) => [shard.shardId, shard]))
  return {
    ...labMembers(stream),
    throttledShards: throttled.size,
    shards: stream.shards.map((shard) => {
      const { dueMs } = throttled.get(shard.shardId) ?? {}
      const isThrottled = throttled.has(shard.shardId)
      return { ...shard, isThrottled, throttledUntil: timeOf(dueMs, clock) }
    }),
  }
}

/** Whether a destination writes to a stream of the lab. A name alone is one of its region. */
function isSame({ destination }: ProducerStream, { streamName, streamArn }: StreamView): boolean {
  const region = parseStreamArn(streamArn)?.region
  if (destination.streamArn !== undefined) return destination.streamArn === streamArn
  return destination.streamName === streamName && destination.region === region
}

const throttledIn = (sent: readonly ProducerStream[]) =>
  sent.flatMap(({ shards }) => shards.filter(({ isThrottled }) => isThrottled))

/** The destinations of one stream: rules may write to it with several roles. */
type Group = readonly [ProducerStream, ...ProducerStream[]]

function groupsOf(streams: readonly ProducerStream[]): readonly Group[] {
  const groups = new Map<string, [ProducerStream, ...ProducerStream[]]>()
  for (const stream of streams) {
    const { streamArn, region, streamName } = stream.destination
    const key = streamArn ?? `${region} ${streamName}`
    const group = groups.get(key)
    if (group) group.push(stream)
    else groups.set(key, [stream])
  }
  return [...groups.entries()]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([, group]) => group)
}

function summaryOf(group: Group, clock: Clock) {
  const [{ destination }] = group
  const { streamName, streamArn, region } = destination
  const all = group.flatMap(({ shards }) => shards)
  const listed = group.find(({ isListed }) => isListed)
  const sinceMs = Math.min(...group.map(({ countedSinceMs }) => countedSinceMs))
  return {
    streamName,
    streamArn,
    region,
    openShards: listed?.shards.filter(({ range }) => range !== undefined).length,
    throttledShards: new Set(throttledIn(group).map(({ shardId }) => shardId)).size,
    load: sumOf(all),
    countedSince: timeOf(sinceMs, clock),
  }
}

function describeSent(
  { streamName, streamArn }: StreamToFind,
  groups: readonly Group[],
  clock: Clock,
): object {
  const group = groups.find(
    ([{ destination }]) =>
      destination.streamName === streamName &&
      (streamArn === undefined || destination.streamArn === streamArn),
  )
  if (!group) {
    const message = `no record has been sent to a stream ${streamArn ?? streamName}`
    throw new SluiceError('ResourceNotFoundException', message)
  }
  const all = group.flatMap(({ shards }) => shards)
  const isListed = group.some((stream) => stream.isListed)
  const ids = [...new Set(all.map(({ shardId }) => shardId))].toSorted()
  return {
    ...summaryOf(group, clock),
    shards: ids.map((shardId) => {
      const same = all.filter((shard) => shard.shardId === shardId)
      const range = same.find((shard) => shard.range)?.range
      return {
        shardId,
        // A shard that took records and is not among the open ones has been closed since.
        isOpen: !isListed || range !== undefined,
        startingHashKey: range && String(range.startingHashKey),
        endingHashKey: range && String(range.endingHashKey),
        load: sumOf(same),
        isThrottled: same.some(({ isThrottled }) => isThrottled),
        throttledUntil: timeOf(same.find(({ dueMs }) => dueMs !== undefined)?.dueMs, clock),
      }
    }),
  }
}

function sumOf(shards: readonly ProducerStream['shards'][number][]) {
  return {
    records: shards.reduce((sum, { sent }) => sum + sent.records, 0),
    bytes: shards.reduce((sum, { sent }) => sum + sent.bytes, 0),
  }
}

/** A time of the monotonic clock as RFC 3339. */
function timeOf(monotonicMs: number | undefined, clock: Clock): string | undefined {
  if (monotonicMs === undefined) return undefined
  return new Date(clock.wallMs() + monotonicMs - clock.monotonicMs()).toISOString()
}
