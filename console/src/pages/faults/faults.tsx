import { useState } from 'preact/hooks'
import { ApiError, call } from '../../api/engine.ts'
import { grouped } from '../../parts/figures.ts'
import { Page } from '../../parts/page.tsx'
import { Empty, Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { FaultForm } from './fault-form.tsx'
import './faults.css'
import { wordsOf } from './fault-words.ts'
import type { FaultRule } from './fault-words.ts'

interface Fault {
  readonly id: string
  readonly rule: FaultRule
  readonly appliedCount: number
  readonly remainingCount?: number
}

const everyMs = 2_000
const path = '/v1/lab/faults'

/** The fault rules of the lab: what goes wrong on demand. */
export function Faults() {
  const { value, error, reload } = useLoaded(
    (signal) => call<{ readonly faults: readonly Fault[] }>({ path, signal }),
    'faults',
    everyMs,
  )
  const [problem, setProblem] = useState<unknown>()
  const act = async (run: () => Promise<unknown>): Promise<boolean> => {
    setProblem(undefined)
    try {
      await run()
      reload()
      return true
    } catch (thrown) {
      setProblem(thrown)
      return false
    }
  }
  if (error instanceof ApiError && error.status === 404) {
    return (
      <Page title="Faults are of the lab">
        <Empty title="This engine sends to AWS, where nothing fails on demand.">
          <p>
            Start <code>sluice lab</code> to see what your rules do when a shard is throttled, a
            role is refused or an answer is lost.
          </p>
        </Empty>
      </Page>
    )
  }
  const faults = value?.faults ?? []
  const active = faults.filter(isActive).length
  const used = faults.length - active
  return (
    <Page
      title={value ? `Faults: ${active} active${used > 0 ? `, ${used} used up` : ''}` : 'Faults'}
      action={
        faults.length > 0 && (
          <button type="button" onClick={() => void act(() => call({ method: 'DELETE', path }))}>
            Remove all
          </button>
        )
      }
    >
      {(problem ?? error) !== undefined && <Failure error={problem ?? error} />}
      {value === undefined ? (
        error === undefined && <Loading />
      ) : faults.length === 0 ? (
        <p class="none">Nothing fails now. A fault begins as soon as it is added.</p>
      ) : (
        <FaultTable
          faults={faults}
          remove={(id) => void act(() => call({ method: 'DELETE', path: `${path}/${id}` }))}
        />
      )}
      <section aria-labelledby="new-fault">
        <h2 id="new-fault">Add a fault</h2>
        <FaultForm add={(rule) => act(() => call({ method: 'POST', path, body: rule }))} />
      </section>
    </Page>
  )
}

const isActive = ({ remainingCount = 1 }: Fault) => remainingCount > 0

function FaultTable({
  faults,
  remove,
}: {
  faults: readonly Fault[]
  remove: (id: string) => void
}) {
  return (
    <table class="faults">
      <thead>
        <tr>
          <th scope="col">Fault</th>
          <th scope="col" class="number">
            Has applied
          </th>
          <th scope="col">
            <span class="hidden-words">Remove</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {faults.slice(0, shownMax).map((fault) => (
          <tr key={fault.id} class={isActive(fault) ? '' : 'is-used'}>
            <td>{visibleText(wordsOf(fault.rule))}</td>
            <td class="number">
              {grouped(fault.appliedCount)}
              {fault.remainingCount !== undefined && (
                <span class="unit">
                  {isActive(fault) ? `, ${grouped(fault.remainingCount)} left` : ', used up'}
                </span>
              )}
            </td>
            <td class="number">
              <button
                type="button"
                aria-label={`Remove fault ${fault.id}`}
                onClick={() => remove(fault.id)}
              >
                Remove
              </button>
            </td>
          </tr>
        ))}
        {faults.length > shownMax && (
          <tr>
            <td colSpan={3}>and {grouped(faults.length - shownMax)} further faults</td>
          </tr>
        )}
      </tbody>
    </table>
  )
}

const shownMax = 200
