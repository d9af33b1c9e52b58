import { useMemo, useState } from 'preact/hooks'
import { call } from '../../api/engine.ts'
import { Page } from '../../parts/page.tsx'
import { Failure } from '../../parts/status.tsx'
import { goTo, pathOf } from '../../shell/route.ts'
import { TryIt } from '../try-it.tsx'
import { Difference } from './difference.tsx'
import { readDraft } from './draft.ts'
import type { Draft } from './draft.ts'
import { RuleControls } from './rule-controls.tsx'
import type { RulePayload } from './rule-payload.ts'
import { TextField } from './text-field.tsx'

/** The text of a rule beside what it would do with a message. */
export function RuleEditor({
  name,
  stored,
  reload,
}: {
  name: string | undefined
  stored: RulePayload
  reload: () => void
}) {
  const [ruleName, setRuleName] = useState(name ?? '')
  const [sql, setSql] = useState(stored.sql)
  const { sql: _sql, ...rest } = stored
  const [members, setMembers] = useState(JSON.stringify(rest, null, 2))
  const draft = useMemo((): Draft => readDraft(sql, members), [sql, members])
  const isChanged =
    draft.payload === undefined || JSON.stringify(draft.payload) !== JSON.stringify(stored)
  const [error, setError] = useState<unknown>()
  const [isReviewing, setReviewing] = useState(false)

  const act = async (run: () => Promise<unknown>) => {
    setError(undefined)
    try {
      await run()
    } catch (thrown) {
      setError(thrown)
    }
  }
  const save = () =>
    act(async () => {
      const path = `/rules/${encodeURIComponent(ruleName)}`
      await call({ method: name === undefined ? 'POST' : 'PATCH', path, body: draft.payload })
      setReviewing(false)
      if (name === undefined) goTo(pathOf('rules', ruleName))
      else reload()
    })

  return (
    <Page
      title={name ?? 'New rule'}
      action={
        <button
          type="button"
          class="primary"
          disabled={!isChanged || draft.payload === undefined || ruleName === ''}
          onClick={() => (name === undefined ? void save() : setReviewing(true))}
        >
          {name === undefined ? 'Create' : 'Save ...'}
        </button>
      }
    >
      <div class="rule">
        <section aria-label="Rule" class="rule-text">
          {name === undefined && (
            <label>
              Name
              <input
                value={ruleName}
                pattern="[a-zA-Z0-9_]{1,128}"
                placeholder="hot_devices"
                onInput={({ currentTarget }) => setRuleName(currentTarget.value)}
              />
            </label>
          )}
          <TextField label="Statement" rowsMin={4} value={sql} onInput={setSql} />
          <TextField
            label="Actions and settings"
            rowsMin={2}
            value={members}
            onInput={setMembers}
          />
          {draft.problem !== undefined && <p class="failure">{draft.problem}</p>}
          {error !== undefined && <Failure error={error} />}
          {isReviewing && draft.payload && (
            <Difference
              before={stored}
              after={draft.payload}
              onSave={() => void save()}
              onCancel={() => setReviewing(false)}
            />
          )}
          {name !== undefined && (
            <RuleControls
              name={name}
              isDisabled={stored.ruleDisabled === true}
              act={act}
              reload={reload}
            />
          )}
        </section>
        <TryIt payload={draft.payload} ruleName={ruleName} />
      </div>
    </Page>
  )
}
