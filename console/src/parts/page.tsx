import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'

/** A page: its title says what is seen, and its one action stands beside it. */
export function Page({
  title,
  action,
  children,
}: {
  title: string
  action?: ComponentChildren
  children: ComponentChildren
}) {
  useEffect(() => {
    document.title = `${title} - Sluice`
  }, [title])
  return (
    <main tabIndex={-1}>
      <header class="page-head">
        <h1>{title}</h1>
        {action}
      </header>
      {children}
    </main>
  )
}
