import { call } from '../../api/engine.ts'
import { bytes, clockTime, grouped, rate } from '../../parts/figures.ts'
import { Page } from '../../parts/page.tsx'
import { CopyLine, Empty, Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { WindowedRows } from '../../parts/windowed-rows.tsx'
import { pathOf } from '../../shell/route.ts'
import type { Route } from '../../shell/route.ts'
import { LoadBar } from './load-bar.tsx'
import { StreamPage } from './stream.tsx'
import { perSecond, shareOfLimit } from './stream-types.ts'
import type { StreamSummary } from './stream-types.ts'
import './streams.css'

interface Listing {
  readonly isLab: boolean
  readonly streams: readonly StreamSummary[]
}

const everyMs = 2_000

/** All streams, or the one that the path names. */
export function Streams({ route }: { route: Route }) {
  return route.name === undefined ? <StreamList /> : <StreamPage name={route.name} route={route} />
}

function StreamList() {
  const { value, error } = useLoaded(
    (signal) => call<Listing>({ path: '/v1/streams', signal }),
    'streams',
    everyMs,
  )
  const streams = value?.streams ?? []
  const throttled = streams.filter(({ throttledShards }) => throttledShards > 0).length
  const since = streams.flatMap(({ countedSince = [] }) => countedSince).toSorted()[0]
  return (
    <Page
      title={
        value
          ? `Streams: ${streams.length}${throttled > 0 ? `, ${throttled} throttled` : ''}`
          : 'Streams'
      }
    >
      {error !== undefined && <Failure error={error} />}
      {value?.isLab === false && since !== undefined && (
        <p class="soft">
          These are the streams that rules have written to. What each takes is counted since{' '}
          {clockTime(since)}, because somebody looks.
        </p>
      )}
      {value === undefined ? (
        error === undefined && <Loading />
      ) : streams.length === 0 ? (
        <Empty
          title={value.isLab ? 'The lab has no stream.' : 'No record has been sent to a stream.'}
        >
          <p>
            A stream is here as soon as a rule writes to it. Publish a message that matches one:{' '}
            <CopyLine text={`sluice pub -t dt/7/telemetry -m '{"temp": 61.5}'`} />
          </p>
        </Empty>
      ) : (
        <table class="streams">
          <thead>
            <tr>
              <th scope="col">Stream</th>
              <th scope="col" class="number">
                Shards
              </th>
              <th scope="col" class="number wide">
                Records/s
              </th>
              <th scope="col" class="number wide">
                Bytes/s
              </th>
              <th scope="col">Load of the limit, last minute</th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <WindowedRows
            rows={streams}
            keyOf={({ streamArn, region, streamName }) => streamArn ?? `${region} ${streamName}`}
          >
            {(stream) => <StreamCells stream={stream} all={streams} />}
          </WindowedRows>
        </table>
      )}
    </Page>
  )
}

function StreamCells({ stream, all }: { stream: StreamSummary; all: readonly StreamSummary[] }) {
  const { streamName, streamArn, openShards, throttledShards, status, mode, load } = stream
  const isOnlyOne = all.filter((other) => other.streamName === streamName).length === 1
  const query = isOnlyOne || streamArn === undefined ? {} : { streamArn }
  const { records, bytes: byteRate } = perSecond(load)
  return (
    <>
      <th scope="row">
        <a href={pathOf('streams', streamName, query)}>{streamName}</a>
        {!isOnlyOne && <span class="unit"> {streamArn ?? stream.region}</span>}
      </th>
      <td class="number">{openShards === undefined ? '?' : grouped(openShards)}</td>
      <td class="number wide">{rate(records)}</td>
      <td class="number wide">{bytes(Math.round(byteRate))}</td>
      <td>
        <LoadBar share={shareOfLimit(load, openShards)} />
      </td>
      <td>
        {throttledShards > 0 ? (
          <span class="mark late">{throttledShards} throttled</span>
        ) : status === undefined || status === 'ACTIVE' ? (
          <span class="mark good">takes records</span>
        ) : (
          <span class="mark">{status.toLowerCase()}</span>
        )}
        {mode === 'ON_DEMAND' && <span class="unit wide"> on demand</span>}
      </td>
    </>
  )
}
