/** A field of several lines for code, as high as its text. */
export function TextField({
  label,
  rowsMin,
  value,
  onInput,
}: {
  label: string
  rowsMin: number
  value: string
  onInput: (text: string) => void
}) {
  const rows = Math.max(rowsMin, Math.min(30, value.split('\n').length + 1))
  return (
    <label>
      {label}
      <textarea
        class="code"
        rows={rows}
        value={value}
        spellcheck={false}
        onInput={({ currentTarget }) => onInput(currentTarget.value)}
      />
    </label>
  )
}
