import { bytes, duration, grouped } from '../../parts/figures.ts'
import { CopyLine, Empty } from '../../parts/status.tsx'
import { useSteadyOrder } from '../../parts/use-steady-order.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { WindowedRows } from '../../parts/windowed-rows.tsx'
import { nameOf } from './snapshot.ts'
import type { DestinationState, OutboxState } from './snapshot.ts'

const keyOf = (destination: DestinationState): string =>
  `${destination.kind} ${nameOf(destination)}`

const marks = {
  delivering: { class: 'good', text: 'delivers' },
  throttled: { class: 'late', text: 'is throttled' },
  retrying: { class: 'late', text: 'tries again' },
  refusing: { class: 'bad', text: 'refuses' },
} as const

/** Where records go, those with most trouble first. */
export function Destinations({ outbox }: { outbox: OutboxState }) {
  const { rows, onPointerEnter, onPointerLeave } = useSteadyOrder(
    outbox.destinations.toSorted(byTrouble),
    keyOf,
  )
  return (
    <section aria-labelledby="destinations">
      <h2 id="destinations">Destinations</h2>
      {rows.length === 0 ? (
        <Empty title="No rule has written a record yet.">
          <p>
            Publish a message to see one pass:{' '}
            <CopyLine text={`sluice pub -t dt/7/telemetry -m '{"temp": 61.5}'`} />
          </p>
        </Empty>
      ) : (
        <table class="destinations" onPointerEnter={onPointerEnter} onPointerLeave={onPointerLeave}>
          <thead>
            <tr>
              <th scope="col">Destination</th>
              <th scope="col">State</th>
              <th scope="col" class="number wide">
                Calls in flight
              </th>
              <th scope="col" class="number">
                Backlog
              </th>
              <th scope="col" class="number">
                Oldest
              </th>
            </tr>
          </thead>
          <WindowedRows rows={rows} keyOf={keyOf}>
            {(destination) => <Cells destination={destination} />}
          </WindowedRows>
        </table>
      )}
      {outbox.furtherDestinations > 0 && (
        <p class="foot">
          {grouped(outbox.furtherDestinations)} more destinations for which nothing waits.
        </p>
      )}
    </section>
  )
}

/** The one that refuses first, then the one whose oldest record waits longest. */
function byTrouble(left: DestinationState, right: DestinationState): number {
  return weightOf(right) - weightOf(left) || right.oldestAgeMs - left.oldestAgeMs
}

const weightOf = ({ delivery }: DestinationState): number =>
  ['delivering', 'throttled', 'retrying', 'refusing'].indexOf(delivery?.state ?? 'delivering')

function Cells({ destination }: { destination: DestinationState }) {
  const { kind, records, bytes: size, oldestAgeMs, delivery } = destination
  const state = delivery?.state ?? 'delivering'
  return (
    <>
      <td>
        <span class="kind">{kind}</span> <code>{visibleText(nameOf(destination))}</code>
      </td>
      <td title={delivery?.reason && visibleText(delivery.reason.message)}>
        <span class={`mark ${marks[state].class}`}>{marks[state].text}</span>
        {state !== 'delivering' && <span class="wide soft"> {detailOf(destination)}</span>}
      </td>
      <td class="number wide">{grouped(delivery?.callsInFlight ?? 0)}</td>
      <td class="number">
        {grouped(records)} <span class="wide soft">({bytes(size)})</span>
      </td>
      <td class="number">{records === 0 ? '-' : duration(oldestAgeMs)}</td>
    </>
  )
}

function detailOf({ delivery }: DestinationState): string {
  if (!delivery) return ''
  const { state, throttledShards, reason, nextTryMs } = delivery
  if (state === 'throttled') {
    return `${grouped(throttledShards)} ${throttledShards === 1 ? 'shard waits' : 'shards wait'}`
  }
  const next =
    nextTryMs !== undefined && nextTryMs > 0 ? `, next try in ${duration(nextTryMs)}` : ''
  return `${reason?.code ?? ''}${next}`
}
