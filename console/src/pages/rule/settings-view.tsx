import { useId } from 'preact/hooks'
import type { Draft } from './draft.ts'
import { SettingsForm } from './settings-form.tsx'

/** The actions and settings of a rule, as a form or as JSON. */
export function SettingsView({ draft }: { draft: Draft }) {
  const { settings, setSettings, json, setJson, problem, showAs } = draft
  return (
    <>
      <ViewSwitch
        isJson={json !== undefined}
        isFormClosed={problem !== undefined}
        showAs={showAs}
      />
      {json === undefined ? (
        <SettingsForm settings={settings} onChange={setSettings} />
      ) : (
        <JsonField text={json} problem={problem} onInput={setJson} />
      )}
    </>
  )
}

function JsonField({
  text,
  problem,
  onInput,
}: {
  text: string
  problem: string | undefined
  onInput: (text: string) => void
}) {
  const id = useId()
  return (
    <div class="field">
      <label>
        Actions and settings
        <textarea
          class="code"
          rows={Math.min(40, text.split('\n').length + 1)}
          value={text}
          spellcheck={false}
          aria-invalid={problem !== undefined}
          aria-describedby={id}
          onInput={({ currentTarget }) => onInput(currentTarget.value)}
        />
      </label>
      <p class="field-fault" id={id} aria-live="polite">
        {problem}
      </p>
    </div>
  )
}

/** Form and JSON show the same. The form waits until the JSON can be read. */
function ViewSwitch({
  isJson,
  isFormClosed,
  showAs,
}: {
  isJson: boolean
  isFormClosed: boolean
  showAs: (view: 'form' | 'JSON') => void
}) {
  return (
    <div class="view-switch" role="group" aria-label="Show actions and settings as">
      <button
        type="button"
        aria-pressed={!isJson}
        disabled={isFormClosed}
        title={isFormClosed ? 'The JSON cannot be read yet' : undefined}
        onClick={() => showAs('form')}
      >
        Form
      </button>
      <button type="button" aria-pressed={isJson} onClick={() => showAs('JSON')}>
        JSON
      </button>
    </div>
  )
}
