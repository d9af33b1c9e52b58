import { useEffect, useMemo, useState } from 'preact/hooks'
import { call } from '../../api/engine.ts'
import { filtersOf, useLiveMessages } from '../../api/live-messages.ts'
import type { LiveMessages } from '../../api/live-messages.ts'
import { CodeEditor } from '../../code/code-editor.tsx'
import { sqlLanguage } from '../../code/sql-language.ts'
import { Page } from '../../parts/page.tsx'
import { Failure } from '../../parts/status.tsx'
import { goTo, pathOf } from '../../shell/route.ts'
import { typedFrom } from '../try-it/message.ts'
import type { TypedMessage } from '../try-it/message.ts'
import { TryIt } from '../try-it/try-it.tsx'
import { WhatWouldChange } from '../try-it/what-would-change.tsx'
import { useCheck } from './check.ts'
import { Difference } from './difference.tsx'
import { useKeptRule } from './draft.ts'
import { exampleMessage } from './example-message.ts'
import { FaultList } from './fault-list.tsx'
import { FieldsContext } from './fields-context.tsx'
import { RuleControls } from './rule-controls.tsx'
import { rulePath, sampleName } from './rule-payload.ts'
import type { RulePayload } from './rule-payload.ts'
import { SettingsView } from './settings-view.tsx'
import './rule.css'

const statement = sqlLanguage('statement', exampleMessage)
const template = sqlLanguage('template', exampleMessage)
const namePattern = '[a-zA-Z0-9_]{1,128}'

/** The text of a rule beside what it would do with a message. */
export function RuleEditor({
  name,
  newName,
  stored,
  reload,
}: {
  name: string | undefined
  newName: string
  stored: RulePayload
  reload: () => void
}) {
  const rule = useKeptRule(name, newName, stored)
  const { draft, ruleName, isChanged, payload } = rule
  const check = useCheck(payload)
  const isReady = (name === undefined || isChanged) && payload !== undefined && ruleName !== ''
  const live = useLiveMessages(filtersOf([stored.sql, payload?.sql]))
  const [opened, setOpened] = useState<TypedMessage>()
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
      const method = name === undefined ? 'POST' : 'PATCH'
      await call({ method, path: rulePath(ruleName), body: payload })
      setReviewing(false)
      rule.forget()
      if (name === undefined) goTo(pathOf('rules', ruleName))
      else reload()
    })
  const startSaving = () => {
    if (!isReady) return
    if (name === undefined) void save()
    else setReviewing(true)
  }
  useKeys({ onSave: startSaving, onEscape: () => setReviewing(false) })
  const fields = useMemo(() => ({ byField: check.byField, template }), [check.byField])

  return (
    <Page
      title={name ?? 'New rule'}
      action={<SaveButton isNew={name === undefined} isReady={isReady} onClick={startSaving} />}
    >
      <div class="rule">
        <section aria-label="Rule" class="rule-text">
          {rule.isKept && <KeptNote onDiscard={rule.discard} />}
          {name === undefined && <NameField name={ruleName} onInput={rule.setName} />}
          <div class="field statement" data-field="sql">
            <span class="field-name">Statement</span>
            <CodeEditor
              label="Statement"
              value={draft.sql}
              language={statement}
              faults={check.byField.get('sql')}
              onInput={draft.setSql}
            />
          </div>
          {error !== undefined && <Failure error={error} />}
          {isReviewing && payload && (
            <Review
              name={ruleName}
              before={stored}
              after={payload}
              live={live}
              onOpen={setOpened}
              onSave={() => void save()}
              onCancel={() => setReviewing(false)}
            />
          )}
          <FaultList check={check} />
          <FieldsContext.Provider value={fields}>
            <SettingsView draft={draft} />
          </FieldsContext.Provider>
          {name !== undefined && (
            <RuleControls
              name={name}
              isDisabled={stored.ruleDisabled === true}
              act={act}
              draft={draft}
              reload={reload}
            />
          )}
        </section>
        {/* What is wrong with the rule is said once, beside it. */}
        <TryIt
          payload={check.faults.length > 0 ? undefined : payload}
          ruleName={ruleName}
          isStored={name !== undefined && !isChanged}
          live={live}
          given={opened}
        />
      </div>
    </Page>
  )
}

function SaveButton({
  isNew,
  isReady,
  onClick,
}: {
  isNew: boolean
  isReady: boolean
  onClick: () => void
}) {
  return (
    <button type="button" class="primary" disabled={!isReady} title="Ctrl+S" onClick={onClick}>
      {isNew ? 'Create' : 'Save ...'}
    </button>
  )
}

/** What saving would change: in the text of the rule, and for the messages that came. */
function Review({
  name: ruleName,
  live,
  onOpen,
  ...difference
}: Parameters<typeof Difference>[0] & {
  name: string
  live: LiveMessages
  onOpen: (message: TypedMessage) => void
}) {
  return (
    <Difference {...difference}>
      <WhatWouldChange
        before={{ ruleName }}
        after={{ ruleName, topicRulePayload: difference.after }}
        live={live}
        onOpen={(message) => onOpen(typedFrom(message))}
      />
    </Difference>
  )
}

function KeptNote({ onDiscard }: { onDiscard: () => void }) {
  return (
    <div class="note" role="status">
      This is what you typed before, and have not saved.{' '}
      <button type="button" class="quiet" onClick={onDiscard}>
        Discard it
      </button>
    </div>
  )
}

function NameField({ name, onInput }: { name: string; onInput: (name: string) => void }) {
  return (
    <label>
      Name
      <input
        value={name}
        pattern={namePattern}
        placeholder={sampleName}
        spellcheck={false}
        onInput={({ currentTarget }) => onInput(currentTarget.value)}
      />
    </label>
  )
}

/** Ctrl+S saves, Escape closes what is open. */
function useKeys({ onSave, onEscape }: { onSave: () => void; onEscape: () => void }): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() === 's' && (event.ctrlKey || event.metaKey)) {
        event.preventDefault()
        onSave()
      }
      if (event.key === 'Escape' && !event.defaultPrevented) onEscape()
    }
    document.addEventListener('keydown', pressed)
    return () => document.removeEventListener('keydown', pressed)
  })
}
