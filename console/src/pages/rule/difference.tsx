import type { ComponentChildren } from 'preact'
import type { RulePayload } from './rule-payload.ts'

/** What saving would change, line by line. */
export function Difference({
  before,
  after,
  onSave,
  onCancel,
  children,
}: {
  before: RulePayload
  after: RulePayload
  onSave: () => void
  onCancel: () => void
  /** What it would change for messages. */
  children?: ComponentChildren
}) {
  return (
    <div class="review" role="group" aria-label="What changes">
      <h2>What changes</h2>
      <pre class="difference">
        {differenceOf(linesOf(before), linesOf(after)).map(({ mark, line }, index) => (
          <div key={index} class={mark === '+' ? 'added' : mark === '-' ? 'removed' : ''}>
            {mark} {line}
          </div>
        ))}
      </pre>
      {children}
      <div class="buttons">
        <button type="button" class="primary" onClick={onSave}>
          Save
        </button>
        <button type="button" onClick={onCancel}>
          Back
        </button>
      </div>
    </div>
  )
}

const linesOf = ({ sql, ...rest }: RulePayload): readonly string[] => [
  ...sql.split('\n'),
  ...JSON.stringify(rest, null, 2).split('\n'),
]

interface DifferenceLine {
  readonly mark: '+' | '-' | ' '
  readonly line: string
}

/** The longest common subsequence of lines: rules have some hundred lines at most. */
export function differenceOf(
  before: readonly string[],
  after: readonly string[],
): readonly DifferenceLine[] {
  const lengths = Array.from({ length: before.length + 1 }, () =>
    Array.from({ length: after.length + 1 }, () => 0),
  )
  const at = (left: number, right: number) => lengths[left]?.[right] ?? 0
  for (let left = before.length - 1; left >= 0; left--) {
    for (let right = after.length - 1; right >= 0; right--) {
      const row = lengths[left]
      if (!row) continue
      row[right] =
        before[left] === after[right]
          ? at(left + 1, right + 1) + 1
          : Math.max(at(left + 1, right), at(left, right + 1))
    }
  }
  const result: DifferenceLine[] = []
  let [left, right] = [0, 0]
  while (left < before.length || right < after.length) {
    const [old, fresh] = [before[left], after[right]]
    if (old !== undefined && old === fresh) {
      result.push({ mark: ' ', line: old })
      left++
      right++
    } else if (
      fresh !== undefined &&
      (old === undefined || at(left, right + 1) > at(left + 1, right))
    ) {
      result.push({ mark: '+', line: fresh })
      right++
    } else if (old !== undefined) {
      result.push({ mark: '-', line: old })
      left++
    }
  }
  return result
}
