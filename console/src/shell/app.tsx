import { useEffect, useState } from 'preact/hooks'
import { storeCredentials, storedCredentials } from '../api/credentials.ts'
import { asksForKey, call } from '../api/engine.ts'
import { Navigation } from './navigation.tsx'
import { PageOf } from './page-of.tsx'
import { places } from './pages.ts'
import { followLinks, goTo, pathOf, useRoute } from './route.ts'
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

/** Whether a key belongs to a field. Those of the code editor stand in a shadow root. */
function isTyped(event: KeyboardEvent): boolean {
  const [target] = event.composedPath()
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)
}

/** `/` filters, `g r` goes to rules; not while somebody types. */
function keyboard() {
  let goes = false
  const pressed = (event: KeyboardEvent) => {
    if (isTyped(event) || event.ctrlKey || event.metaKey || event.altKey) return
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
