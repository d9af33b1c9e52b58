import { ApiError, call } from '../../api/engine.ts'
import { bytes, clockTime, grouped, rate } from '../../parts/figures.ts'
import { Page } from '../../parts/page.tsx'
import { CopyLine, Empty, Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { pathOf } from '../../shell/route.ts'
import type { Route } from '../../shell/route.ts'
import { LoadBar } from './load-bar.tsx'
import { Records } from './records.tsx'
import { perSecond, shardLimit, shareOfLimit } from './stream-types.ts'
import type { Shard, StreamDescription } from './stream-types.ts'

const everyMs = 2_000
const shardsShownMax = 200
const hashKeySpace = 2 ** 128

/** One stream: its shards in the order of their hash ranges, and its records. */
export function StreamPage({ name, route }: { name: string; route: Route }) {
  const streamArn = route.query.get('streamArn') ?? undefined
  const { value, error } = useLoaded(
    (signal) =>
      call<StreamDescription>({
        path: `/v1/streams/${encodeURIComponent(name)}`,
        query: { streamArn },
        signal,
      }),
    `${name} ${streamArn ?? ''}`,
    everyMs,
  )
  if (value === undefined && error instanceof ApiError && error.status === 404) {
    return (
      <Page title={`There is no stream ${name}`}>
        <Empty title={error.message}>
          <p>
            <a href={pathOf('streams')}>To all streams</a>
          </p>
        </Empty>
      </Page>
    )
  }
  return (
    <Page
      title={value ? titleOf(value) : name}
      action={
        <a class="button" href={pathOf('streams')}>
          All streams
        </a>
      }
    >
      {error !== undefined && <Failure error={error} />}
      {value === undefined ? (
        error === undefined && <Loading />
      ) : (
        <>
          <Shards stream={value} />
          <section aria-labelledby="records">
            <h2 id="records">Records</h2>
            {value.isLab ? (
              <Records stream={value} query={route.query} streamArn={streamArn} />
            ) : (
              <NotReadHere stream={value} />
            )}
          </section>
        </>
      )}
    </Page>
  )
}

function titleOf({ streamName, openShards, closedShards = 0, throttledShards }: StreamDescription) {
  const shards =
    openShards === undefined
      ? 'shards not known'
      : `${openShards} ${openShards === 1 ? 'shard' : 'shards'}`
  const closed = closedShards > 0 ? `, ${closedShards} closed` : ''
  const throttled = throttledShards > 0 ? `, ${throttledShards} throttled` : ''
  return `${streamName}: ${shards}${closed}${throttled}`
}

function Shards({ stream }: { stream: StreamDescription }) {
  const { shards, isLab, countedSince, openShards } = stream
  const open = shards.filter(({ isOpen }) => isOpen).toSorted(byRange)
  const closed = shards.filter(({ isOpen }) => !isOpen)
  const shown = [...open, ...closed].slice(0, shardsShownMax)
  return (
    <section aria-labelledby="shards">
      <h2 id="shards">
        Shards <span class="unit">by hash range; load of the last minute against the limit</span>
      </h2>
      {!isLab && countedSince !== undefined && (
        <p class="soft">Counted since {clockTime(countedSince)}, when somebody began to look.</p>
      )}
      {openShards === undefined && (
        <p class="note">
          The shards cannot be listed, or have not been yet: the role of the rule needs{' '}
          <code>kinesis:ListShards</code>. Only shards that took records are shown.
        </p>
      )}
      <HashRange shards={open} />
      <ul class="shards">
        {shown.map((shard) => (
          <ShardRow key={shard.shardId} shard={shard} stream={stream} />
        ))}
      </ul>
      {shards.length > shown.length && (
        <p class="soft">{grouped(shards.length - shown.length)} further shards are not shown.</p>
      )}
    </section>
  )
}

/** The whole hash range: each open shard has its part of the width, filled by its load. */
function HashRange({ shards }: { shards: readonly Shard[] }) {
  if (shards.some(({ startingHashKey }) => startingHashKey === undefined)) return null
  return (
    <div class="hash-range" aria-hidden="true">
      {shards.map((shard) => (
        <span
          key={shard.shardId}
          class={shard.isThrottled ? 'hash-part is-throttled' : 'hash-part'}
          style={{ flexGrow: Math.max(0.001, to(shard) - from(shard)) }}
          title={shard.shardId}
        >
          <span
            class={shareOfLimit(shard.load) > 0.8 ? 'hash-fill is-high' : 'hash-fill'}
            style={{ height: `${shareOfLimit(shard.load) * 100}%` }}
          />
        </span>
      ))}
    </div>
  )
}

const from = ({ startingHashKey = '0' }: Shard) => Number(startingHashKey) / hashKeySpace
const to = ({ endingHashKey = '0' }: Shard) => Number(endingHashKey) / hashKeySpace
const byRange = (left: Shard, right: Shard) =>
  from(left) - from(right) || (left.shardId < right.shardId ? -1 : 1)

function ShardRow({ shard, stream }: { shard: Shard; stream: StreamDescription }) {
  const { shardId, isOpen, load, startingHashKey, parentShardIds = [] } = shard
  const { records, bytes: byteRate } = perSecond(load)
  const { recordsInSecondMax, bytesInSecondMax } = load
  const arn = stream.streamArn === undefined ? {} : { streamArn: stream.streamArn }
  return (
    <li class={shard.isThrottled ? 'is-throttled' : ''}>
      <div class="shard-head">
        <code>{shardId}</code>
        {startingHashKey !== undefined && (
          <span class="unit">
            {percent(from(shard))} to {percent(to(shard))} of the range
          </span>
        )}
        {!isOpen && <span class="mark">closed</span>}
        {shard.isThrottled && <span class="mark late">{throttleOf(shard)}</span>}
        {stream.isLab && (
          <a href={pathOf('streams', stream.streamName, { ...arn, shard: shardId })}>
            {grouped(shard.records ?? 0)} records
          </a>
        )}
      </div>
      <LoadBar share={shareOfLimit(load)} />
      <p class="shard-load">
        {rate(records)} of {grouped(shardLimit.records)} records/s, {bytes(Math.round(byteRate))} of{' '}
        {bytes(shardLimit.bytes)}/s
        {recordsInSecondMax !== undefined && recordsInSecondMax > 0 && (
          <>
            ; its fullest second: {grouped(recordsInSecondMax)}{' '}
            {recordsInSecondMax === 1 ? 'record' : 'records'}, {bytes(bytesInSecondMax ?? 0)}
          </>
        )}
        {parentShardIds.length > 0 && <>; from {parentShardIds.join(' and ')}</>}
      </p>
      <HottestKeys shard={shard} />
    </li>
  )
}

function throttleOf({ throttledUntil }: Shard): string {
  return throttledUntil === undefined
    ? 'throttled, is being tried'
    : `throttled, waits until ${clockTime(throttledUntil)}`
}

function HottestKeys({ shard: { hottestKeys = [], countedRecords = 0 } }: { shard: Shard }) {
  if (hottestKeys.length === 0) return null
  return (
    <ol class="hot-keys" aria-label="Hottest keys">
      {hottestKeys.map(({ partitionKey, records }) => (
        <li key={partitionKey}>
          <code>{visibleText(partitionKey)}</code> {percent(records / countedRecords)}
        </li>
      ))}
    </ol>
  )
}

function percent(share: number): string {
  const value = share * 100
  return `${value > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} %`
}

function NotReadHere({ stream }: { stream: StreamDescription }) {
  const { streamName, region } = stream
  const iterator =
    `aws kinesis get-shard-iterator --region ${region} --stream-name ${streamName} ` +
    '--shard-id shardId-000000000000 --shard-iterator-type TRIM_HORIZON'
  return (
    <Empty title="This page does not read records from AWS.">
      <p>With credentials of your own you read them so:</p>
      <p>
        <CopyLine text={iterator} />
      </p>
      <p>
        <CopyLine text={`aws kinesis get-records --region ${region} --shard-iterator ...`} />
      </p>
    </Empty>
  )
}
