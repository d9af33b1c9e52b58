import { useEffect, useState } from 'preact/hooks'

/** Where the console is: the page, and the state that a link to it carries. */
export interface Route {
  /** `rules` in `/console/rules/hot_devices`; '' for the first page. */
  readonly page: string
  /** `hot_devices` in that path. */
  readonly name: string | undefined
  readonly query: URLSearchParams
}

const base = '/console/'
const changed = 'sluice-route'

function currentRoute(): Route {
  const [page = '', name] = location.pathname.slice(base.length).split('/')
  return {
    page,
    name: name === undefined || name === '' ? undefined : decoded(name),
    query: new URLSearchParams(location.search),
  }
}

/** A name that somebody has typed wrongly stays as it is: nothing is found by it. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/** The path of a page, for `href`. */
export function pathOf(page: string, name?: string, query: Record<string, string> = {}): string {
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ''))
  const rest = search.size > 0 ? `?${search.toString()}` : ''
  return `${base}${page}${name === undefined ? '' : `/${encodeURIComponent(name)}`}${rest}`
}

/** @param how `replace` for state of the page, which the Back button should not go through */
export function goTo(path: string, how: 'push' | 'replace' = 'push'): void {
  if (how === 'push') history.pushState(null, '', path)
  else history.replaceState(null, '', path)
  dispatchEvent(new Event(changed))
}

export function useRoute(): Route {
  const [route, setRoute] = useState(currentRoute)
  useEffect(() => {
    const update = () => setRoute(currentRoute())
    addEventListener('popstate', update)
    addEventListener(changed, update)
    return () => {
      removeEventListener('popstate', update)
      removeEventListener(changed, update)
    }
  }, [])
  return route
}

/** Follows links of the console without loading the page again. */
export function followLinks(event: MouseEvent): void {
  const link = (event.target as Element).closest('a')
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey
  if (!link || !isPlain || event.defaultPrevented || link.target !== '') return
  const url = new URL(link.href)
  if (url.origin !== location.origin || !url.pathname.startsWith(base)) return
  event.preventDefault()
  goTo(url.pathname + url.search)
  document.querySelector('main')?.focus()
  scrollTo(0, 0)
}
