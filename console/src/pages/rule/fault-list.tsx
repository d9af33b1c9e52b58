import { textOf } from '../../parts/status.tsx'
import type { Check } from './check.ts'

/** All faults of the rule in words. Each leads to the field in which it is. */
export function FaultList({ check: { faults, warnings, error } }: { check: Check }) {
  return (
    <div class="fault-list" aria-live="polite">
      {error !== undefined && (
        <p class="note">Faults are not shown while you type. {textOf(error)}</p>
      )}
      {faults.length > 0 && (
        <div class="failure">
          <p>
            <strong>
              {faults.length === 1 ? 'One fault' : `${faults.length} faults`} in this rule.
            </strong>{' '}
            It is tried on the message when {faults.length === 1 ? 'it is' : 'they are'} mended.
          </p>
          <ul>
            {faults.map(({ field, line, column, message }, index) => (
              <li key={index}>
                <button type="button" class="quiet" onClick={() => goToField(field)}>
                  {field ?? 'rule'}
                  {line !== undefined && `, line ${line}, column ${column ?? 1}`}
                </button>
                : {message}
              </li>
            ))}
          </ul>
        </div>
      )}
      {warnings.length > 0 && (
        <details class="note">
          <summary>
            {warnings.length === 1 ? 'One thing' : `${warnings.length} things`} that AWS IoT accepts
            and you may not mean
          </summary>
          {warnings.map((warning, index) => (
            <pre key={index}>{warning}</pre>
          ))}
        </details>
      )}
    </div>
  )
}

/** Puts the cursor into a field, or into the one that it stands in. */
function goToField(field = ''): void {
  for (let path = field; path !== ''; path = path.replace(/(?:^|\.)[^.[]*$|\[\d+\]$/, '')) {
    const found = document.querySelector(`[data-field="${CSS.escape(path)}"]`)
    if (!found) continue
    found.scrollIntoView({ block: 'nearest' })
    const target = found.querySelector<HTMLElement>('.code-editor, input, select, textarea, button')
    const inside = target?.shadowRoot?.querySelector<HTMLElement>('.cm-content')
    ;(inside ?? target)?.focus()
    return
  }
}
