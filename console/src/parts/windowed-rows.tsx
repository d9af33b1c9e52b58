import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import './windowed-rows.css'

/** Tables of up to so many rows are drawn whole, so that the browser's own search finds all. */
const drawnWholeMax = 200
/** Rows above and below the visible ones: the Tab key finds the next row before it is seen. */
const overscan = 12
/** What a row is taken for until one has been measured, in CSS pixels. */
const firstHeight = 33

export interface WindowedRowsProps<Row> {
  readonly rows: readonly Row[]
  readonly keyOf: (row: Row) => string
  readonly classOf?: (row: Row) => string | undefined
  /** The cells of a row. They take one line each while the table is windowed. */
  readonly children: (row: Row) => ComponentChildren
}

/**
 * The body of a table that draws only the rows in sight when there are more than 200, with empty
 * rows in the place of the others. The page scrolls, not the table. All rows must have one height.
 *
 * Assistive technology is told the place of each row and how many there are. In a row that has
 * focus the arrow keys go to the row above or below, Home and End to the first and the last; it
 * stays drawn when it is scrolled out of sight, so that focus is not lost.
 */
export function WindowedRows<Row>({ rows, keyOf, classOf, children }: WindowedRowsProps<Row>) {
  const body = useRef<HTMLTableSectionElement>(null)
  const isWindowed = rows.length > drawnWholeMax
  const [focused, setFocused] = useState<number>()
  const { first, last, height } = useVisibleRows(body, rows.length, isWindowed)
  const wanted = useRef(false)

  useLayoutEffect(() => {
    const table = body.current?.closest('table')
    table?.classList.toggle('is-windowed', isWindowed)
    table?.setAttribute('aria-rowcount', String(rows.length + 1))
    table?.tHead?.rows[0]?.setAttribute('aria-rowindex', '1')
  }, [isWindowed, rows.length])
  useLayoutEffect(() => {
    if (!wanted.current || focused === undefined) return
    wanted.current = false
    focusableIn(body.current, focused)?.focus()
  }, [focused])

  const pressed = (event: KeyboardEvent) => {
    if (focused === undefined || isTyping(event.target)) return
    const to = rowAfter(event.key, focused, rows.length)
    if (to === undefined) return
    event.preventDefault()
    wanted.current = true
    setFocused(to)
  }

  const drawn = isWindowed ? drawnIndexes(first, last, focused, rows.length) : [...rows.keys()]
  return (
    <tbody
      ref={body}
      onKeyDown={pressed}
      onFocusIn={({ target }) => setFocused(indexOf(target))}
      onFocusOut={({ relatedTarget }) => {
        if (indexOf(relatedTarget) === undefined && !wanted.current) setFocused(undefined)
      }}
    >
      {drawn.flatMap((index, position) => {
        const row = rows[index]
        if (row === undefined) return []
        const left = index - (drawn[position - 1] ?? -1) - 1
        return [
          left > 0 && <Spacer key={`before ${index}`} height={left * height} />,
          <tr key={keyOf(row)} class={classOf?.(row)} aria-rowindex={index + 2}>
            {children(row)}
          </tr>,
        ]
      })}
      <Spacer key="rest" height={(rows.length - 1 - (drawn.at(-1) ?? -1)) * height} />
    </tbody>
  )
}

function Spacer({ height }: { height: number }) {
  if (height <= 0) return null
  return (
    <tr class="spacer" aria-hidden="true" style={{ height: `${height}px` }}>
      <td />
    </tr>
  )
}

function useVisibleRows(
  body: { readonly current: HTMLTableSectionElement | null },
  count: number,
  isWindowed: boolean,
) {
  const [seen, setSeen] = useState({ first: 0, last: 60, height: firstHeight })
  useLayoutEffect(() => {
    if (!isWindowed) return undefined
    let frame: number | undefined
    const look = () => {
      frame = undefined
      const element = body.current
      if (!element) return
      const measured = element.querySelector('tr[aria-rowindex]')?.getBoundingClientRect().height
      const height = measured === undefined || measured === 0 ? firstHeight : measured
      const { top } = element.getBoundingClientRect()
      const first = Math.max(0, Math.floor(-top / height) - overscan)
      const last = Math.max(first, Math.ceil((innerHeight - top) / height) + overscan)
      setSeen((before) =>
        before.first === first && before.last === last && before.height === height
          ? before
          : { first, last, height },
      )
    }
    const moved = () => {
      frame ??= requestAnimationFrame(look)
    }
    look()
    // Scrolling does not bubble; so those of a box around the table are seen, too.
    addEventListener('scroll', moved, { passive: true, capture: true })
    addEventListener('resize', moved)
    return () => {
      if (frame !== undefined) cancelAnimationFrame(frame)
      removeEventListener('scroll', moved, { capture: true })
      removeEventListener('resize', moved)
    }
  }, [isWindowed, count])
  return seen
}

/** The rows in sight, and the one that has focus. */
function drawnIndexes(first: number, last: number, focused: number | undefined, count: number) {
  // A list that became shorter is scrolled by the browser only after it is drawn.
  const from = Math.min(first, Math.max(0, count - (last - first)))
  const to = Math.min(last, count - 1)
  const indexes = Array.from({ length: to - from + 1 }, (_, offset) => from + offset)
  if (focused === undefined || focused >= count) return indexes
  if (focused < from) return [focused, ...indexes]
  return focused > to ? [...indexes, focused] : indexes
}

function rowAfter(key: string, index: number, count: number): number | undefined {
  switch (key) {
    case 'ArrowDown':
      return Math.min(index + 1, count - 1)
    case 'ArrowUp':
      return Math.max(index - 1, 0)
    case 'Home':
      return 0
    case 'End':
      return count - 1
    default:
      return undefined
  }
}

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof Element && target.matches('input, select, textarea')

function indexOf(target: EventTarget | null): number | undefined {
  const row = target instanceof Element ? target.closest('tr[aria-rowindex]') : null
  return row ? Number(row.getAttribute('aria-rowindex')) - 2 : undefined
}

const focusableIn = (body: HTMLElement | null, index: number) =>
  body?.querySelector<HTMLElement>(
    `tr[aria-rowindex="${index + 2}"] :is(a[href], button:not(:disabled), [tabindex="0"])`,
  )
