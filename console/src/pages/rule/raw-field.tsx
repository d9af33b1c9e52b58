import { useState } from 'preact/hooks'
import { jsonProblemOf } from './json-problem.ts'
import { FieldFaults } from './fields-context.tsx'
import type { FieldProps } from './plain-fields.tsx'

/** A value for which there is no form, as JSON: an unknown member, or one of another type. */
export function RawField({ name, path, value, onChange }: Omit<FieldProps, 'schema'>) {
  const [text, setText] = useState(() => JSON.stringify(value, null, 2))
  const [problem, setProblem] = useState<string>()
  const input = (typed: string) => {
    setText(typed)
    try {
      onChange(JSON.parse(typed))
      setProblem(undefined)
    } catch (thrown) {
      setProblem(jsonProblemOf(thrown, typed))
    }
  }
  return (
    <div class="field" data-field={path}>
      <label>
        <span class="field-name">
          <code>{name}</code>
          <span class="unit"> as JSON</span>
        </span>
        <textarea
          class="code"
          rows={Math.min(12, text.split('\n').length)}
          spellcheck={false}
          value={text}
          onInput={({ currentTarget }) => input(currentTarget.value)}
        />
      </label>
      {problem !== undefined && <p class="field-fault">{problem}</p>}
      <FieldFaults path={path} />
      <button type="button" class="quiet" onClick={() => onChange(undefined)}>
        Remove {name}
      </button>
    </div>
  )
}
