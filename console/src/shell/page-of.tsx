import type { ComponentChildren } from 'preact'
import { useEffect, useErrorBoundary, useState } from 'preact/hooks'
import { Page } from '../parts/page.tsx'
import { Empty, Loading } from '../parts/status.tsx'
import { visibleText } from '../parts/visible-text.ts'
import { places } from './pages.ts'
import type { PageComponent, Place } from './pages.ts'
import { pathOf } from './route.ts'
import type { Route } from './route.ts'

/** The page at a route. Its code is loaded once. */
export function PageOf({ route }: { route: Route }) {
  const place = places.find(({ page }) => page === route.page)
  if (place) {
    return (
      <Boundary key={`${place.page} ${route.name ?? ''}`} title={place.title}>
        <PageAt key={place.page} place={place} route={route} />
      </Boundary>
    )
  }
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

/** A fault in the code of a page is a sentence, and leaves the navigation. */
function Boundary({ title, children }: { title: string; children: ComponentChildren }) {
  const [error] = useErrorBoundary()
  if (error === undefined) return <>{children}</>
  return (
    <Page title={title}>
      <div class="failure" role="alert">
        <p>
          This page cannot be shown, because of a fault of its own or an answer that it does not
          know: {visibleText(String(error))}
        </p>
        <button type="button" onClick={() => location.reload()}>
          Load it again
        </button>
      </div>
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
