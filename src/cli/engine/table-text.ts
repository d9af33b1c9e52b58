/**
 * Columns for a terminal: the first to the left, the others, which are figures, to the right.
 *
 * @param whenEmpty the line that stands instead of a table without rows
 */
export function tableText(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  whenEmpty: string,
): string {
  if (rows.length === 0) return `${whenEmpty}\n`
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  return all
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd()
        .concat('\n'),
    )
    .join('')
}

/** A count as people read it: `12,345`. */
export const grouped = (count: number): string => count.toLocaleString('en-US')
