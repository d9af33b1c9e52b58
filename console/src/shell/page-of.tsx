import { useEffect, useState } from 'preact/hooks'
import { Page } from '../parts/page.tsx'
import { Empty, Loading } from '../parts/status.tsx'
import { places } from './pages.ts'
import type { PageComponent, Place } from './pages.ts'
import { pathOf } from './route.ts'
import type { Route } from './route.ts'

/** The page at a route. Its code is loaded once. */
export function PageOf({ route }: { route: Route }) {
  const place = places.find(({ page }) => page === route.page)
  if (place) return <PageAt key={place.page} place={place} route={route} />
  return (
    <Page title="There is no such page">
      <Empty title="The link leads nowhere.">
        <p>
          <a href={pathOf('')}>To the overview</a>
        </p>
      </Empty>
    </Page>
  )
}

const loadedPages = new Map<string, PageComponent>()

function PageAt({ place, route }: { place: Place; route: Route }) {
  const [isMissing, setMissing] = useState(false)
  const [Shown, setShown] = useState(() => loadedPages.get(place.page))
  useEffect(() => {
    const load = async () => {
      try {
        const component = await place.load()
        loadedPages.set(place.page, component)
        setShown(() => component)
      } catch {
        setMissing(true)
      }
    }
    if (!Shown) void load()
  }, [])
  if (Shown) return <Shown route={route} />
  return <Page title={place.title}>{isMissing ? <MissingCode /> : <Loading />}</Page>
}

/** The files of a page have other names after an upgrade, or nobody answers. */
function MissingCode() {
  return (
    <div class="failure" role="alert">
      <p>This page could not be loaded: the engine does not answer, or has been upgraded.</p>
      <button type="button" onClick={() => location.reload()}>
        Load it again
      </button>
    </div>
  )
}
