import { useRef, useState } from 'preact/hooks'

/**
 * Keeps rows in their place while the pointer is over them, so that nobody clicks on another row
 * than the one they read. Values change all the same; new rows come last.
 *
 * @param rows in the order that they should have
 */
export function useSteadyOrder<Row>(rows: readonly Row[], keyOf: (row: Row) => string) {
  const [isHeld, setHeld] = useState(false)
  const order = useRef<readonly string[]>([])
  let shown = rows
  if (isHeld) {
    const place = new Map(order.current.map((key, index) => [key, index]))
    const placeOf = (row: Row) => place.get(keyOf(row)) ?? place.size
    shown = rows.toSorted((left, right) => placeOf(left) - placeOf(right))
  }
  order.current = shown.map(keyOf)
  return {
    rows: shown,
    onPointerEnter: () => setHeld(true),
    onPointerLeave: () => setHeld(false),
  }
}
