import { useEffect, useState } from 'preact/hooks'
import { Chart } from '../../parts/chart.tsx'
import type { Point } from '../../parts/chart.tsx'
import { bytes, grouped, rate } from '../../parts/figures.ts'
import type { Counted, Snapshot } from './snapshot.ts'

/** So many readings are five minutes. */
const pointsMax = 150

type Series = Counted | 'queued'

const series: readonly {
  readonly name: Series
  readonly title: string
  readonly colour: string
}[] = [
  { name: 'received', title: 'Messages in', colour: '--series-1' },
  { name: 'matched', title: 'Matched by rules', colour: '--series-2' },
  { name: 'delivered', title: 'Records delivered', colour: '--series-3' },
  { name: 'queued', title: 'Records queued', colour: '--series-5' },
  { name: 'failed', title: 'Failures', colour: '--series-4' },
]

type History = Readonly<Record<Series, readonly Point[]>>
const noHistory: History = { received: [], matched: [], delivered: [], queued: [], failed: [] }

/** Five small charts of the last five minutes, with the figures of now. */
export function Figures({ snapshot }: { snapshot: Snapshot }) {
  const history = useHistory(snapshot)
  return (
    <section class="figures" aria-label="The last five minutes">
      {series.map(({ name, title, colour }) => {
        const points = history[name]
        const now = points.at(-1)?.[1] ?? 0
        return (
          <div key={name} class={`figure ${name === 'failed' && now > 0 ? 'is-bad' : ''}`}>
            <h2>{title}</h2>
            <p class="figure-value">
              {name === 'queued' ? (
                grouped(snapshot.outbox.records)
              ) : (
                <>
                  {rate(now)} <span class="unit">/s</span>
                </>
              )}
            </p>
            <Chart points={points} colour={colour} />
            <p class="figure-total">
              {name === 'queued'
                ? `${bytes(snapshot.outbox.bytes)} of ${bytes(snapshot.outbox.limits.bytesMax)}`
                : `${grouped(snapshot.counts[name])} since the start`}
            </p>
          </div>
        )
      })}
    </section>
  )
}

/** Rates a second, from the differences of counters that start again with the engine. */
function useHistory(snapshot: Snapshot): History {
  const [state, setState] = useState<{ last?: Snapshot; history: History }>({ history: noHistory })
  useEffect(() => {
    setState(({ last, history }) => {
      if (!last) return { last: snapshot, history }
      const grown = series.map(({ name }) => {
        const point: Point = [snapshot.at / 1_000, valueOf(name, last, snapshot)]
        return [name, [...history[name], point].slice(-pointsMax)] as const
      })
      return { last: snapshot, history: Object.fromEntries(grown) as unknown as History }
    })
  }, [snapshot])
  return state.history
}

function valueOf(name: Series, before: Snapshot, now: Snapshot): number {
  if (name === 'queued') return now.outbox.records
  const seconds = Math.max(0.5, (now.at - before.at) / 1_000)
  return Math.max(0, now.counts[name] - before.counts[name]) / seconds
}
