import { useEffect, useRef, useState } from 'preact/hooks'
import { places } from './pages.ts'
import { pathOf } from './route.ts'

/** So many pages stand in the bar of a phone; the others are under "More". */
const inBarMax = 4

/** Links to all pages: a column, or on a phone a bar whose last button opens the rest. */
export function Navigation({ current }: { current: string }) {
  const [isOpen, setOpen] = useState(false)
  const nav = useRef<HTMLElement>(null)
  useEffect(() => setOpen(false), [current])
  useEffect(() => {
    if (!isOpen) return undefined
    const close = (event: Event) => {
      const isOutside = event.type === 'pointerdown' && !nav.current?.contains(event.target as Node)
      if (isOutside || (event as KeyboardEvent).key === 'Escape') setOpen(false)
    }
    document.addEventListener('pointerdown', close)
    document.addEventListener('keydown', close)
    return () => {
      document.removeEventListener('pointerdown', close)
      document.removeEventListener('keydown', close)
    }
  }, [isOpen])
  const isUnderMore = places.findIndex(({ page }) => page === current) >= inBarMax
  return (
    <nav aria-label="Pages" ref={nav} class={isOpen ? 'is-open' : ''}>
      <ul>
        {places.map(({ page, title, icon }, index) => (
          <li
            key={page}
            class={index < inBarMax ? '' : 'under-more'}
            onFocusIn={() => {
              if (index >= inBarMax) setOpen(true)
            }}
          >
            <a
              href={pathOf(page)}
              aria-current={page === current ? 'page' : undefined}
              onClick={() => setOpen(false)}
            >
              <Icon path={icon} />
              {title}
            </a>
          </li>
        ))}
      </ul>
      <button
        type="button"
        class={isUnderMore ? 'more is-current' : 'more'}
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        <Icon path="M5 12h.01M12 12h.01M19 12h.01" />
        More
      </button>
    </nav>
  )
}

function Icon({ path }: { path: string }) {
  return (
    <svg viewBox="0 0 24 24" aria-hidden="true">
      <path d={path} />
    </svg>
  )
}
