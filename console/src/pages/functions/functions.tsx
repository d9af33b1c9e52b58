import { useState } from 'preact/hooks'
import { call, send } from '../../api/engine.ts'
import { fieldsOf } from '../../parts/fields.ts'
import { Page } from '../../parts/page.tsx'
import { Empty, Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { goTo, pathOf } from '../../shell/route.ts'
import type { Route } from '../../shell/route.ts'
import { Batches } from './batches.tsx'
import './functions.css'

/** Lambda's own names, because the API is Lambda's. */
interface Mapping {
  readonly UUID: string
  readonly FunctionArn: string
  readonly EventSourceArn: string
  readonly State: string
  readonly LastProcessingResult: string
  readonly BatchSize: number
  readonly DestinationConfig?: { readonly OnFailure?: { readonly Destination?: string } }
}

interface LambdaFunction {
  readonly FunctionName: string
  readonly State: string
  readonly StateReason?: string
}

const everyMs = 2_000
const root = '/2015-03-31'
const shownMax = 200

async function readAll(signal: AbortSignal) {
  const [{ EventSourceMappings: mappings }, { Functions: functions }] = await Promise.all([
    call<{ readonly EventSourceMappings: readonly Mapping[] }>({
      path: `${root}/event-source-mappings`,
      query: { MaxItems: String(shownMax) },
      signal,
    }),
    call<{ readonly Functions: readonly LambdaFunction[] }>({ path: `${root}/functions`, signal }),
  ])
  return { mappings, functions }
}

/** The event source mappings and the functions of the folder. */
export function Functions({ route: { query } }: { readonly route: Route }) {
  const { value, error, reload } = useLoaded(readAll, 'functions', everyMs)
  const [problem, setProblem] = useState<unknown>()
  const enable = async (uuid: string, Enabled: boolean) => {
    setProblem(undefined)
    try {
      await call({
        method: 'PUT',
        path: `${root}/event-source-mappings/${uuid}`,
        body: { Enabled },
      })
      reload()
    } catch (thrown) {
      setProblem(thrown)
    }
  }
  const enabled = value?.mappings.filter(({ State }) => State === 'Enabled').length ?? 0
  return (
    <Page
      title={
        value
          ? `Functions: ${value.functions.length}, ${enabled} of ${value.mappings.length} mappings enabled`
          : 'Functions'
      }
    >
      {(problem ?? error) !== undefined && <Failure error={problem ?? error} />}
      {value === undefined ? (
        error === undefined && <Loading />
      ) : (
        <>
          <Mappings
            mappings={value.mappings}
            enable={enable}
            open={query.get('mapping') ?? undefined}
          />
          <section aria-labelledby="invoke">
            <h2 id="invoke">Functions of the folder</h2>
            {value.functions.length === 0 ? (
              <Empty title="There is no function in the folder.">
                <p>
                  Write <code>functions/my_function.mjs</code> with an exported <code>handler</code>
                  : it is here at once.
                </p>
              </Empty>
            ) : (
              <Invoke functions={value.functions} />
            )}
          </section>
        </>
      )}
    </Page>
  )
}

function Mappings({
  mappings,
  enable,
  open,
}: {
  mappings: readonly Mapping[]
  enable: (uuid: string, isEnabled: boolean) => Promise<void>
  /** The UUID of the mapping whose batches are shown. */
  open: string | undefined
}) {
  return (
    <section aria-labelledby="mappings">
      <h2 id="mappings">Event source mappings</h2>
      {mappings.length === 0 && <p>There are none: aws lambda create-event-source-mapping.</p>}
      <ul class="letters">
        {mappings.map((mapping) => {
          const isOn = mapping.State === 'Enabled' || mapping.State === 'Enabling'
          const stream = mapping.EventSourceArn.split('/')[1] ?? mapping.EventSourceArn
          const isOpen = mapping.UUID === open
          const name = mapping.FunctionArn.split(':')[6] ?? mapping.FunctionArn
          return (
            <li key={mapping.UUID} class="letter">
              <div>
                <a href={pathOf('streams', stream)}>{stream}</a> to <code>{name}</code>{' '}
                <span class={mapping.State === 'Enabled' ? 'mark good' : 'mark'}>
                  {mapping.State}
                </span>
              </div>
              <div>
                Last result: {visibleText(mapping.LastProcessingResult)}; at most{' '}
                {mapping.BatchSize} records in a batch
              </div>
              <div class="buttons">
                <button
                  type="button"
                  aria-expanded={isOpen}
                  aria-label={`Last batches of ${stream} to ${name}`}
                  onClick={() =>
                    goTo(
                      pathOf('functions', undefined, { mapping: isOpen ? '' : mapping.UUID }),
                      'replace',
                    )
                  }
                >
                  Last batches
                </button>
                <button
                  type="button"
                  aria-label={`${isOn ? 'Disable' : 'Enable'} ${stream} to ${name}`}
                  onClick={() => void enable(mapping.UUID, !isOn)}
                >
                  {isOn ? 'Disable' : 'Enable'}
                </button>
              </div>
              {isOpen && (
                <Batches
                  uuid={mapping.UUID}
                  destination={mapping.DestinationConfig?.OnFailure?.Destination}
                />
              )}
            </li>
          )
        })}
      </ul>
    </section>
  )
}

interface Invoked {
  readonly hasFailed: boolean
  readonly text: string
}

/** Invokes a function with an event that somebody writes. */
function Invoke({ functions }: { functions: readonly LambdaFunction[] }) {
  const [invoked, setInvoked] = useState<Invoked>()
  const [problem, setProblem] = useState<unknown>()
  const submitted = async (event: Event) => {
    event.preventDefault()
    const value = fieldsOf(event.currentTarget as HTMLFormElement)
    setInvoked(undefined)
    setProblem(undefined)
    try {
      const answer = await send({
        method: 'POST',
        path: `${root}/functions/${encodeURIComponent(value('function'))}/invocations`,
        body: JSON.parse(value('event')) as unknown,
      })
      const hasFailed = answer.headers.has('x-amz-function-error')
      setInvoked({ hasFailed, text: (await answer.text()).slice(0, 131_072) })
    } catch (thrown) {
      setProblem(thrown)
    }
  }
  return (
    <form class="try-it" onSubmit={(event) => void submitted(event)}>
      <label>
        Function
        <select name="function">
          {functions.map(({ FunctionName: name, State: state, StateReason: reason }) => (
            <option key={name} value={name}>
              {name}
              {state === 'Active' ? '' : `: ${reason ?? state}`}
            </option>
          ))}
        </select>
      </label>
      <label>
        Event
        <textarea name="event" class="code" rows={5} defaultValue={'{"Records": []}'} />
      </label>
      <div class="buttons">
        <button type="submit" class="primary">
          Invoke
        </button>
      </div>
      {problem !== undefined && <Failure error={problem} />}
      {invoked && (
        <div role="status">
          <p class={invoked.hasFailed ? 'bad' : ''}>
            {invoked.hasFailed ? 'The function failed with' : 'The function returned'}
          </p>
          <pre>{visibleText(invoked.text)}</pre>
        </div>
      )}
    </form>
  )
}
