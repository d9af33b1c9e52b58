import { call } from '../../api/engine.ts'
import { clockTime, duration, grouped } from '../../parts/figures.ts'
import { Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { pathOf } from '../../shell/route.ts'

interface Batch {
  readonly at: string
  readonly shardId: string
  readonly records: number
  readonly durationMs: number
  /** Absent without records. */
  readonly iteratorAgeMs?: number
  readonly outcome: 'succeeded' | 'partlyFailed' | 'failed' | 'notInvoked'
  readonly givenUp: number
  readonly reason?: string
  readonly reasonLeftOut?: 'notAllowed' | 'redacted'
}

const everyMs = 2_000

const outcomes = {
  succeeded: { mark: 'good', words: 'succeeded' },
  partlyFailed: { mark: 'late', words: 'some records failed' },
  failed: { mark: 'bad', words: 'failed' },
  notInvoked: { mark: 'bad', words: 'not invoked' },
} as const satisfies Record<Batch['outcome'], object>

const whyLeftOut = {
  notAllowed: 'Your key may not see why: its policy does not allow sluice:ReadPayloads.',
  redacted: 'Why is not shown, because an error may quote records (SLUICE_REDACT).',
} as const satisfies Record<NonNullable<Batch['reasonLeftOut']>, string>

/** The last batches of a mapping, the newest first. */
export function Batches({ uuid, destination }: { uuid: string; destination: string | undefined }) {
  const { value, error } = useLoaded(
    (signal) =>
      call<{ readonly batches: readonly Batch[] }>({
        path: `/v1/event-source-mappings/${uuid}/batches`,
        signal,
      }),
    uuid,
    everyMs,
  )
  const batches = value?.batches ?? []
  return (
    <div class="batches">
      {error !== undefined && <Failure error={error} />}
      {value === undefined
        ? error === undefined && <Loading />
        : batches.length === 0 && (
            <p class="soft">The function has got no batch since the engine was started.</p>
          )}
      {batches.length > 0 && <BatchTable batches={batches} />}
      <Documents uuid={uuid} destination={destination} />
    </div>
  )
}

function BatchTable({ batches }: { batches: readonly Batch[] }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Invoked</th>
          <th scope="col">Outcome</th>
          <th scope="col" class="number">
            Records
          </th>
          <th scope="col" class="number">
            Took
          </th>
          <th scope="col" class="number wide">
            Iterator age
          </th>
          <th scope="col" class="wide">
            Shard
          </th>
        </tr>
      </thead>
      <tbody>
        {batches.map((batch, index) => {
          const { mark, words } = outcomes[batch.outcome]
          return (
            <tr key={`${batch.at} ${batch.shardId} ${batches.length - index}`}>
              <th scope="row">
                <time dateTime={batch.at}>{clockTime(batch.at)}</time>
              </th>
              <td>
                <span class={`mark ${mark}`}>{words}</span>
                {batch.givenUp > 0 && (
                  <span class="unit">
                    {' '}
                    {batch.givenUp === 1 ? '1 record' : `${grouped(batch.givenUp)} records`} given
                    up
                  </span>
                )}
                <Reason batch={batch} />
              </td>
              <td class="number">{grouped(batch.records)}</td>
              <td class="number">{duration(batch.durationMs)}</td>
              <td class="number wide">
                {batch.iteratorAgeMs === undefined ? '' : duration(batch.iteratorAgeMs)}
              </td>
              <td class="wide topic">{batch.shardId}</td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}

function Reason({ batch: { reason, reasonLeftOut } }: { batch: Batch }) {
  if (reason !== undefined) return <p class="topic reason">{visibleText(reason)}</p>
  if (reasonLeftOut !== undefined) return <p class="soft reason">{whyLeftOut[reasonLeftOut]}</p>
  return null
}

/** Where the documents about records go that are given up. */
function Documents({ uuid, destination }: { uuid: string; destination: string | undefined }) {
  if (destination === undefined) {
    return (
      <p class="foot">
        There is no on-failure destination: no document tells of records that are given up.
      </p>
    )
  }
  return (
    <p class="foot">
      On-failure documents go to <code>{visibleText(destination)}</code>; a lab without an emulator
      of it <a href={pathOf('calls', undefined, { mapping: uuid })}>records the calls</a>. The file{' '}
      <code>event-source/failures/{uuid}.ndjson</code> of the data folder has each document, too.
    </p>
  )
}
