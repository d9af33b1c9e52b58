import { useEffect, useState } from 'preact/hooks'
import { storeCredentials, storedCredentials } from '../api/credentials.ts'
import { asksForKey, call } from '../api/engine.ts'
import { Calls } from '../pages/calls.tsx'
import { DeadLetters } from '../pages/dead-letters.tsx'
import { Live } from '../pages/live.tsx'
import { Overview } from '../pages/overview.tsx'
import { Rule } from '../pages/rule.tsx'
import { Rules } from '../pages/rules.tsx'
import { Page } from '../parts/page.tsx'
import { Empty } from '../parts/status.tsx'
import { Navigation, places } from './navigation.tsx'
import { followLinks, goTo, pathOf, useRoute } from './route.ts'
import type { Route } from './route.ts'
import { SignIn } from './sign-in.tsx'
import { applyTheme, nextTheme, storedTheme } from './theme.ts'

/** The console: who may see it, where one is, and the page. */
export function App() {
  const route = useRoute()
  const [needsKey, setNeedsKey] = useState(false)
  const [theme, setTheme] = useState(storedTheme)
  useEffect(() => applyTheme(theme), [theme])
  useEffect(() => {
    document.addEventListener('click', followLinks)
    return () => document.removeEventListener('click', followLinks)
  }, [])
  useEffect(keyboard, [])
  useEffect(() => {
    call({ path: '/v1/outbox' }).catch((thrown: unknown) => {
      if (asksForKey(thrown)) setNeedsKey(true)
    })
  }, [])
  const signOut = () => {
    storeCredentials(undefined)
    setNeedsKey(true)
  }
  if (needsKey) return <SignIn onSignedIn={() => setNeedsKey(false)} />
  return (
    <div class="shell">
      <aside>
        <a class="brand" href={pathOf('')}>
          Sluice
        </a>
        <Navigation current={route.page} />
        <div class="aside-foot">
          <a href="/v1/docs" target="_blank">
            HTTP API
          </a>
          <button type="button" class="quiet" onClick={() => setTheme(nextTheme(theme))}>
            Theme: {theme}
          </button>
          {storedCredentials() && (
            <button type="button" class="quiet" onClick={signOut}>
              Sign out
            </button>
          )}
        </div>
      </aside>
      <PageOf route={route} />
    </div>
  )
}

function PageOf({ route: { page, name, query } }: { route: Route }) {
  switch (page) {
    case '': {
      return <Overview />
    }
    case 'live': {
      return <Live />
    }
    case 'rules': {
      const isOne = name !== undefined || query.has('new')
      return isOne ? <Rule key={name ?? 'new'} name={name} /> : <Rules />
    }
    case 'dead-letters': {
      return <DeadLetters />
    }
    case 'calls': {
      return <Calls />
    }
    default: {
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
  }
}

/** `/` filters, `g r` goes to rules; not while somebody types. */
function keyboard() {
  let goes = false
  const pressed = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || event.ctrlKey || event.metaKey) return
    if (event.key === '/') {
      event.preventDefault()
      document.querySelector<HTMLElement>('[data-filter]')?.focus()
    } else if (goes) {
      const place = places.find(({ key }) => key === event.key)
      if (place) goTo(pathOf(place.page))
    }
    goes = event.key === 'g'
  }
  addEventListener('keydown', pressed)
  return () => removeEventListener('keydown', pressed)
}
