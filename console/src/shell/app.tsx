import { useEffect, useState } from 'preact/hooks'
import { forgetTab, storedCredentials } from '../api/credentials.ts'
import { call, keyRefused } from '../api/engine.ts'
import { Navigation } from './navigation.tsx'
import { PageOf } from './page-of.tsx'
import { places } from './pages.ts'
import { followLinks, goTo, pathOf, useRoute } from './route.ts'
import type { Route } from './route.ts'
import { SignIn } from './sign-in.tsx'
import { applyTheme, nextTheme, storedTheme } from './theme.ts'
import type { Theme } from './theme.ts'

/** The page waits behind the sign-in when its key has ended, so that nothing typed is lost. */
type Access = 'given' | 'needed' | 'ended'

/** The console: who may see it, where one is, and the page. */
export function App() {
  const route = useRoute()
  const [access, setAccess] = useState<Access>('given')
  const [user, setUser] = useState(() => storedCredentials()?.accessKeyId)
  const [theme, setTheme] = useState(storedTheme)
  useEffect(() => applyTheme(theme), [theme])
  useEffect(() => {
    document.addEventListener('click', followLinks)
    return () => document.removeEventListener('click', followLinks)
  }, [])
  useEffect(keyboard, [])
  useEffect(() => {
    const refused = () =>
      setAccess((before) => {
        if (before !== 'given') return before
        return storedCredentials() === undefined ? 'needed' : 'ended'
      })
    addEventListener(keyRefused, refused)
    // What else goes wrong is told by the page.
    call({ path: '/v1/outbox' }).catch(() => undefined)
    return () => removeEventListener(keyRefused, refused)
  }, [])
  const signOut = () => {
    forgetTab()
    goTo(pathOf(''), 'replace')
    setAccess('needed')
  }
  const signedIn = () => {
    setUser(storedCredentials()?.accessKeyId)
    setAccess('given')
  }
  return (
    <>
      {access !== 'given' && <SignIn isAgain={access === 'ended'} onSignedIn={signedIn} />}
      {access !== 'needed' && (
        <Shell
          key={user}
          route={route}
          isHidden={access === 'ended'}
          theme={theme}
          setTheme={setTheme}
          signOut={signOut}
        />
      )}
    </>
  )
}

function Shell({
  route,
  isHidden,
  theme,
  setTheme,
  signOut,
}: {
  route: Route
  isHidden: boolean
  theme: Theme
  setTheme: (theme: Theme) => void
  signOut: () => void
}) {
  return (
    <div class="shell" hidden={isHidden}>
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
