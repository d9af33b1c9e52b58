import { useEffect, useState } from 'preact/hooks'
import { call } from '../../api/engine.ts'
import { forgetDraft } from '../../parts/kept-draft.ts'
import { goTo, pathOf } from '../../shell/route.ts'
import type { Draft } from './draft.ts'
import { rulePath } from './rule-payload.ts'

/** Enables, disables and deletes a rule. */
export function RuleControls({
  name,
  isDisabled,
  act,
  draft,
  reload,
}: {
  name: string
  isDisabled: boolean
  act: (run: () => Promise<unknown>) => Promise<void>
  draft: Draft
  reload: () => void
}) {
  const [isDeleting, setDeleting] = useState(false)
  const [typed, setTyped] = useState('')
  useEffect(() => setTyped(''), [isDeleting])
  const path = rulePath(name)
  const toggle = () =>
    act(async () => {
      await call({ method: 'POST', path: `${path}/${isDisabled ? 'enable' : 'disable'}` })
      draft.setDisabled(!isDisabled)
      reload()
    })
  const remove = () =>
    act(async () => {
      await call({ method: 'DELETE', path })
      forgetDraft(path)
      goTo(pathOf('rules'))
    })
  return (
    <div class="controls">
      <div class="buttons">
        <button type="button" onClick={() => void toggle()}>
          {isDisabled ? 'Enable' : 'Disable'}
        </button>
        <button type="button" onClick={() => setDeleting(!isDeleting)} aria-expanded={isDeleting}>
          Delete ...
        </button>
      </div>
      {isDeleting && (
        <form
          class="review"
          onSubmit={(event) => {
            event.preventDefault()
            void remove()
          }}
        >
          <p>
            The rule and its delivery settings are lost; messages that come later are not written by
            it. Records that it has made are still delivered.
          </p>
          <label>
            Write its name to delete it
            <input value={typed} onInput={({ currentTarget }) => setTyped(currentTarget.value)} />
          </label>
          <button type="submit" class="danger" disabled={typed !== name}>
            Delete {name}
          </button>
        </form>
      )}
    </div>
  )
}
