/**
 * A table in Markdown whose columns are aligned, as prettier aligns them.
 *
 * @param head the texts of the first row, one a column
 * @param rows texts without line breaks
 */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const widthOf = (column: number) =>
    Math.max(3, ...[head, ...rows].map((row) => row[column]?.length ?? 0))
  const line = (row: readonly string[]) =>
    `| ${row.map((text, column) => text.padEnd(widthOf(column))).join(' | ')} |`
  const rule = head.map((_, column) => '-'.repeat(widthOf(column)))
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}
