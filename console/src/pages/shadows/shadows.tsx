import { fieldsOf } from '../../parts/fields.ts'
import { grouped } from '../../parts/figures.ts'
import { Page } from '../../parts/page.tsx'
import { CopyLine, Empty, Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { WindowedRows } from '../../parts/windowed-rows.tsx'
import { goTo, pathOf } from '../../shell/route.ts'
import type { Route } from '../../shell/route.ts'
import { readShadows } from './read-shadows.ts'
import type { ListedShadow } from './read-shadows.ts'
import { Shadow } from './shadow.tsx'
import './shadows.css'

const everyMs = 5_000

/** The shadows of all things, or one of them. */
export function Shadows({ route: { name, query } }: { readonly route: Route }) {
  const shadowName = query.get('shadow') ?? ''
  if (name === undefined) return <ShadowList query={query} />
  return <Shadow key={`${name} ${shadowName}`} thingName={name} shadowName={shadowName} />
}

const placeOf = ({ thingName, shadowName = '' }: ListedShadow) =>
  pathOf('shadows', thingName, { shadow: shadowName })

const openShadow = (event: SubmitEvent) => {
  event.preventDefault()
  const field = fieldsOf(event.currentTarget as HTMLFormElement)
  goTo(placeOf({ thingName: field('thing'), shadowName: field('shadow') }))
}

function ShadowList({ query }: { query: URLSearchParams }) {
  const prefix = query.get('prefix') ?? ''
  const { value, error } = useLoaded((signal) => readShadows(prefix, signal), prefix, everyMs)
  const count = value?.shadows.filter(({ version }) => version !== undefined).length ?? 0
  return (
    <Page title={value ? `Shadows: ${grouped(count)}${value.isCut ? '+' : ''}` : 'Shadows'}>
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <label>
          Thing begins with
          <input
            data-filter
            defaultValue={prefix}
            onInput={({ currentTarget }) =>
              goTo(pathOf('shadows', undefined, { prefix: currentTarget.value }), 'replace')
            }
          />
        </label>
      </form>
      {error !== undefined && <Failure error={error} />}
      {value === undefined ? (
        error === undefined && <Loading />
      ) : value.shadows.length === 0 ? (
        prefix === '' ? (
          <Empty title="There are no shadows yet.">
            <p>A device makes one when it reports its state:</p>
            <CopyLine
              text={`sluice pub '$aws/things/lamp/shadow/update' '{"state":{"reported":{"led":"off"}}}'`}
            />
          </Empty>
        ) : (
          <Empty title="No thing begins so." />
        )
      ) : (
        <ShadowTable shadows={value.shadows} />
      )}
      <section aria-labelledby="open-shadow">
        <h2 id="open-shadow">Open or create a shadow</h2>
        <form class="filters open-shadow" onSubmit={openShadow}>
          <label>
            Thing
            <input name="thing" required pattern="[a-zA-Z0-9:_\-]{1,128}" />
          </label>
          <label>
            Name of the shadow, or nothing
            <input name="shadow" pattern="[$a-zA-Z0-9:_\-]{1,64}" />
          </label>
          <button type="submit">Open</button>
        </form>
      </section>
    </Page>
  )
}

function ShadowTable({ shadows }: { shadows: readonly ListedShadow[] }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Thing</th>
          <th scope="col">Shadow</th>
          <th scope="col" class="number">
            Version
          </th>
        </tr>
      </thead>
      <WindowedRows
        rows={shadows}
        keyOf={({ thingName, shadowName = '' }) => `${thingName}~${shadowName}`}
      >
        {(shadow) => (
          <>
            <th scope="row">
              <a class="topic" href={placeOf(shadow)}>
                {shadow.thingName}
              </a>
            </th>
            <td class={shadow.version === undefined ? 'kind' : ''}>
              {shadow.version === undefined ? 'none yet' : (shadow.shadowName ?? 'classic')}
            </td>
            <td class="number">{shadow.version}</td>
          </>
        )}
      </WindowedRows>
    </table>
  )
}
