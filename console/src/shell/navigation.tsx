import { pathOf } from './route.ts'

export interface Place {
  readonly page: string
  readonly title: string
  /** The key after `g` that leads there. */
  readonly key: string
  /** Path data of the icon, 24 x 24. */
  readonly icon: string
}

export const places: readonly Place[] = [
  { page: '', title: 'Overview', key: 'o', icon: 'M4 13h4l2-7 4 12 2-5h4' },
  { page: 'live', title: 'Live', key: 'l', icon: 'M5 12h.01M9 8v8M13 5v14M17 9v6M21 12h.01' },
  { page: 'rules', title: 'Rules', key: 'r', icon: 'M4 6h16M4 12h10M4 18h7M17 15l2 2 3-4' },
  { page: 'dead-letters', title: 'Dead letters', key: 'd', icon: 'M4 6h16v12H4zM4 7l8 6 8-6' },
  { page: 'calls', title: 'Calls', key: 'c', icon: 'M5 12h12M13 7l5 5-5 5M5 5v14' },
]

export function Navigation({ current }: { current: string }) {
  return (
    <nav aria-label="Pages">
      <ul>
        {places.map(({ page, title, icon }) => (
          <li key={page}>
            <a href={pathOf(page)} aria-current={page === current ? 'page' : undefined}>
              <svg viewBox="0 0 24 24" aria-hidden="true">
                <path d={icon} />
              </svg>
              {title}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  )
}
