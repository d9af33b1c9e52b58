import { useState } from 'preact/hooks'
import { call } from '../../api/engine.ts'
import { dayTime } from '../../parts/figures.ts'
import { Page } from '../../parts/page.tsx'
import { Empty, Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { goTo, pathOf } from '../../shell/route.ts'
import { DesiredForm } from './desired-form.tsx'
import { readShadow, shadowPath } from './read-shadows.ts'
import type { JsonObject, ShadowDocument } from './read-shadows.ts'

const everyMs = 1_000

/** One shadow: what is desired, what is reported, and the difference, as they change. */
export function Shadow({ thingName, shadowName }: { thingName: string; shadowName: string }) {
  const { value, error, reload } = useLoaded(
    (signal) => readShadow(thingName, shadowName, signal),
    `${thingName} ${shadowName}`,
    everyMs,
  )
  const [isAsking, setAsking] = useState(false)
  const [told, setTold] = useState<string>()
  const document = value === 'none' ? undefined : value
  const name =
    shadowName === ''
      ? `Shadow of ${visibleText(thingName)}`
      : `Shadow ${visibleText(shadowName)} of ${visibleText(thingName)}`
  return (
    <Page
      title={document ? `${name}, version ${document.version}` : name}
      action={
        document && (
          <button type="button" class="danger" onClick={() => setAsking(!isAsking)}>
            Delete ...
          </button>
        )
      }
    >
      <p>
        <a href={pathOf('shadows')}>All shadows</a>
      </p>
      {told !== undefined && (
        <p class="note" role="status">
          {told}
        </p>
      )}
      {error !== undefined && <Failure error={error} />}
      {value === undefined && error === undefined && <Loading />}
      {value === 'none' && (
        <Empty title="There is no such shadow yet.">
          <p>It is made when a device reports its state, or when you desire one here.</p>
        </Empty>
      )}
      {document && isAsking && (
        <Delete thingName={thingName} shadowName={shadowName} version={document.version} />
      )}
      {document && <States document={document} />}
      {value !== undefined && (
        <DesiredForm
          thingName={thingName}
          shadowName={shadowName}
          document={document}
          saved={(text) => {
            setTold(text)
            reload()
          }}
        />
      )}
    </Page>
  )
}

function States({ document: { state, timestamp } }: { document: ShadowDocument }) {
  const hasDelta = state.delta !== undefined
  return (
    <>
      <p class="kind">Changed {dayTime(timestamp * 1_000)}</p>
      <div class="shadow-states">
        <State id="desired" title="Desired" state={state.desired} none="Nothing is desired." />
        <State id="reported" title="Reported" state={state.reported} none="Nothing is reported." />
        <State
          id="delta"
          title="Delta"
          state={state.delta}
          none="The device is as it is desired."
          className={hasDelta ? 'has-delta' : ''}
        />
      </div>
    </>
  )
}

function State({
  id,
  title,
  state,
  none,
  className = '',
}: {
  id: string
  title: string
  state: JsonObject | undefined
  none: string
  className?: string
}) {
  return (
    <section aria-labelledby={id} class={className}>
      <h2 id={id}>{title}</h2>
      {state === undefined ? (
        <p class="kind">{none}</p>
      ) : (
        <pre tabIndex={0}>{visibleText(JSON.stringify(state, null, 2))}</pre>
      )}
    </section>
  )
}

function Delete({
  thingName,
  shadowName,
  version,
}: {
  thingName: string
  shadowName: string
  version: number
}) {
  const [typed, setTyped] = useState('')
  const [problem, setProblem] = useState<unknown>()
  const wanted = shadowName === '' ? thingName : shadowName
  const remove = async () => {
    try {
      await call({ method: 'DELETE', path: shadowPath(thingName), query: { name: shadowName } })
      goTo(pathOf('shadows'))
    } catch (thrown) {
      setProblem(thrown)
    }
  }
  return (
    <div class="review" role="group" aria-label="Delete the shadow">
      <p>
        What is desired and reported, version {version}, is lost. A device that reports again makes
        a new shadow.
      </p>
      <label>
        Write {wanted} to delete it
        <input value={typed} onInput={({ currentTarget }) => setTyped(currentTarget.value)} />
      </label>
      {problem !== undefined && <Failure error={problem} />}
      <div class="buttons">
        <button
          type="button"
          class="danger"
          disabled={typed !== wanted}
          onClick={() => void remove()}
        >
          Delete {wanted}
        </button>
      </div>
    </div>
  )
}
