import { useEffect, useState } from 'preact/hooks'
import { call } from '../api/engine.ts'
import { readMetrics } from '../api/metrics.ts'
import type { Metrics } from '../api/metrics.ts'
import { Chart } from '../parts/chart.tsx'
import type { Point } from '../parts/chart.tsx'
import { bytes, duration, grouped, rate } from '../parts/figures.ts'
import { Page } from '../parts/page.tsx'
import { CopyLine, Empty, Failure, Loading } from '../parts/status.tsx'
import { useLoaded } from '../parts/use-loaded.ts'
import { pathOf } from '../shell/route.ts'

interface Health {
  readonly status: string
  readonly reasons?: readonly string[]
}

interface OutboxState {
  readonly records: number
  readonly bytes: number
  readonly deadLetters: { readonly records: number; readonly bytes: number }
  readonly limits: { readonly bytesMax: number }
  readonly destinations: readonly {
    readonly kind: string
    readonly streamName?: string
    readonly target?: string
    readonly records: number
    readonly bytes: number
    readonly oldestAgeMs: number
  }[]
}

interface Snapshot {
  readonly at: number
  readonly counts: Readonly<Record<Series, number>>
  readonly failing: Metrics
  readonly outbox: OutboxState
  readonly health: Health
}

const everyMs = 2_000
const pointsMax = 150

const seriesNames = ['received', 'matched', 'delivered', 'failed'] as const
type Series = (typeof seriesNames)[number]
const titles: Readonly<Record<Series, string>> = {
  received: 'Messages in',
  matched: 'Matched by rules',
  delivered: 'Records delivered',
  failed: 'Failures',
}
const colours: Readonly<Record<Series, string>> = {
  received: '--series-1',
  matched: '--series-2',
  delivered: '--series-3',
  failed: '--series-4',
}

async function readSnapshot(signal: AbortSignal): Promise<Snapshot> {
  const [metrics, outbox, health] = await Promise.all([
    readMetrics(signal),
    call<OutboxState>({ path: '/v1/outbox', signal }),
    call<Health>({ path: '/v1/health', signal }),
  ])
  return {
    at: Date.now(),
    counts: {
      received: metrics('sluice_messages_received_total'),
      matched: metrics('sluice_rule_evaluations_total', { result: 'matched' }),
      delivered: metrics('sluice_records_delivered_total'),
      failed:
        metrics('sluice_action_failures_total') +
        metrics('sluice_records_dead_lettered_total') +
        metrics('sluice_rule_evaluations_total', { result: 'failed' }),
    },
    failing: metrics,
    outbox,
    health,
  }
}

export function Overview() {
  const { value: snapshot, error } = useLoaded(readSnapshot, 'overview', everyMs)
  const history = useHistory(snapshot)
  return (
    <Page title="Overview">
      {error !== undefined && <Failure error={error} />}
      {snapshot === undefined ? (
        error === undefined && <Loading />
      ) : (
        <>
          <Summary snapshot={snapshot} />
          <section class="figures" aria-label="Rates of the last five minutes">
            {seriesNames.map((name) => (
              <Figure key={name} name={name} points={history[name]} total={snapshot.counts[name]} />
            ))}
          </section>
          <Destinations outbox={snapshot.outbox} />
        </>
      )}
    </Page>
  )
}

type History = Readonly<Record<Series, readonly Point[]>>
const noHistory: History = { received: [], matched: [], delivered: [], failed: [] }

/** Rates a second, from the differences of counters that start again with the engine. */
function useHistory(snapshot: Snapshot | undefined): History {
  const [state, setState] = useState<{ last?: Snapshot; history: History }>({ history: noHistory })
  useEffect(() => {
    if (!snapshot) return
    setState(({ last, history }) => {
      if (!last) return { last: snapshot, history }
      const seconds = Math.max(0.5, (snapshot.at - last.at) / 1_000)
      const grown = seriesNames.map((name) => {
        const change = Math.max(0, snapshot.counts[name] - last.counts[name])
        const point: Point = [snapshot.at / 1_000, change / seconds]
        return [name, [...history[name], point].slice(-pointsMax)] as const
      })
      return { last: snapshot, history: Object.fromEntries(grown) as unknown as History }
    })
  }, [snapshot])
  return state.history
}

function Figure({
  name,
  points,
  total,
}: {
  name: Series
  points: readonly Point[]
  total: number
}) {
  const now = points.at(-1)?.[1] ?? 0
  return (
    <div class={`figure ${name === 'failed' && now > 0 ? 'is-bad' : ''}`}>
      <h2>{titles[name]}</h2>
      <p class="figure-value">
        {rate(now)} <span class="unit">/s</span>
      </p>
      <Chart points={points} colour={colours[name]} />
      <p class="figure-total">{grouped(total)} since the start</p>
    </div>
  )
}

const reasons: Readonly<Record<string, string>> = {
  accountUnknown:
    'The AWS account is not known yet: STS does not answer. Rules with ARNs wait for it.',
  publishersStalled:
    'Publishers wait, and none of them goes on: a destination takes nothing, or the disk is slow.',
  outboxFull: 'The outbox is full: publishers wait until a destination takes records.',
  outboxWritesFail: 'The outbox cannot write: look at the disk.',
  policiesUnreadable: 'The policies of MQTT clients cannot be read; the last good ones hold.',
  passwordsUnreadable: 'The password file cannot be read; the last good one holds.',
  accessKeysUnreadable: 'The access keys cannot be read.',
  tlsUnreadable: 'The TLS files cannot be read; the last good ones hold.',
  tlsExpired: 'The TLS certificate has expired: clients that verify it cannot connect.',
  tlsDamaged: 'The TLS files do not fit each other.',
  rulesInvalid: 'A rule file cannot be used; the last good version of the rule runs.',
  mappingsInvalid: 'An event source mapping cannot be used.',
}

/** One sentence that says whether all is well, and what to do where it is not. */
function Summary({ snapshot: { health, outbox } }: { snapshot: Snapshot }) {
  const oldest = Math.max(0, ...outbox.destinations.map(({ oldestAgeMs }) => oldestAgeMs))
  const problems = (health.reasons ?? []).map((reason) => reasons[reason] ?? reason)
  const isLate = outbox.records > 0 && oldest > 10_000
  const state = problems.length > 0 ? 'is-bad' : isLate ? 'is-late' : 'is-good'
  const sentence =
    outbox.records === 0
      ? 'All that was accepted is delivered.'
      : `${grouped(outbox.records)} records wait for delivery (${bytes(outbox.bytes)}), the oldest for ${duration(oldest)}.`
  const letters = outbox.deadLetters.records
  return (
    <section class={`summary ${state}`} aria-label="State" aria-live="polite">
      <p>{sentence}</p>
      {problems.map((problem) => (
        <p key={problem}>{problem}</p>
      ))}
      {letters > 0 && (
        <p>
          <a href={pathOf('dead-letters')}>
            {grouped(letters)} {letters === 1 ? 'dead letter needs' : 'dead letters need'} a look
          </a>
        </p>
      )}
    </section>
  )
}

function Destinations({ outbox }: { outbox: OutboxState }) {
  const sorted = outbox.destinations.toSorted((left, right) => right.oldestAgeMs - left.oldestAgeMs)
  return (
    <section aria-labelledby="destinations">
      <h2 id="destinations">Destinations with a backlog</h2>
      {sorted.length === 0 ? (
        <Empty title="No record waits.">
          <p>
            Publish a message to see one pass:{' '}
            <CopyLine text={`sluice pub -t dt/7/telemetry -m '{"temp": 61.5}'`} />
          </p>
        </Empty>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Destination</th>
              <th scope="col" class="number">
                Records
              </th>
              <th scope="col" class="number">
                Bytes
              </th>
              <th scope="col" class="number">
                Oldest
              </th>
            </tr>
          </thead>
          <tbody>
            {sorted.map(({ kind, streamName, target, records, bytes: size, oldestAgeMs }) => (
              <tr key={`${kind} ${streamName ?? target ?? ''}`}>
                <td>
                  <span class="kind">{kind}</span> <code>{streamName ?? target ?? ''}</code>
                </td>
                <td class="number">{grouped(records)}</td>
                <td class="number">{bytes(size)}</td>
                <td class="number">{duration(oldestAgeMs)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}
