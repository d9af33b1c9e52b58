import { useRef } from 'preact/hooks'
import { ActionCard, AddAction } from './action-card.tsx'
import { newAction, schemaOfSetting, withItem, withMember } from './action-schema.ts'
import type { Members } from './action-schema.ts'
import { FieldFaults } from './fields-context.tsx'
import { RawField } from './raw-field.tsx'
import { SchemaField } from './schema-field.tsx'

/** AWS IoT takes no more actions in a rule. */
const actionsMax = 10
const own = ['actions', 'errorAction', 'awsIotSqlVersion', 'description', 'ruleDisabled']

/** The actions of a rule as cards, and its settings: everything but the statement. */
export function SettingsForm({
  settings,
  onChange,
}: {
  settings: Members
  onChange: (settings: Members) => void
}) {
  const set = (name: string, value: unknown) => onChange(withMember(settings, name, value))
  const { actions, errorAction } = settings
  const unknown = Object.keys(settings).filter((name) => !own.includes(name))
  const fieldOf = (name: string) => (
    <SchemaField
      name={name}
      path={name}
      schema={schemaOfSetting(name)}
      value={settings[name]}
      isRequired={false}
      onChange={(value) => set(name, value)}
    />
  )
  return (
    <div class="settings">
      {Array.isArray(actions) || actions === undefined ? (
        <ActionList
          actions={(actions as readonly unknown[] | undefined) ?? []}
          onChange={(changed) => set('actions', changed)}
        />
      ) : (
        <RawField
          name="actions"
          path="actions"
          value={actions}
          isRequired
          onChange={(changed) => set('actions', changed)}
        />
      )}
      {errorAction === undefined ? (
        <section class="actions" aria-labelledby="error-action-title">
          <h2 id="error-action-title">Error action</h2>
          <p class="help">{schemaOfSetting('errorAction').description}</p>
          <AddAction
            label="Kind of the error action"
            button="Add an error action"
            onAdd={(kind) => set('errorAction', newAction(kind, listOf(actions)))}
          />
        </section>
      ) : (
        <ActionCard
          title="Error action"
          path="errorAction"
          action={errorAction}
          onChange={(changed) => set('errorAction', changed)}
        />
      )}
      <h2>Settings</h2>
      <div class="fields">
        {fieldOf('awsIotSqlVersion')}
        {fieldOf('description')}
        {fieldOf('ruleDisabled')}
        {unknown.map((name) => (
          <RawField
            key={name}
            name={name}
            path={name}
            value={settings[name]}
            isRequired={false}
            onChange={(value) => set(name, value)}
          />
        ))}
      </div>
    </div>
  )
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

function ActionList({
  actions,
  onChange,
}: {
  actions: readonly unknown[]
  onChange: (actions: readonly unknown[]) => void
}) {
  const keys = useKeys(actions.length)
  const swap = (one: number, other: number) => {
    keys.swap(one, other)
    const changed = [...actions]
    ;[changed[one], changed[other]] = [changed[other], changed[one]]
    onChange(changed)
  }
  return (
    <section class="actions" aria-labelledby="actions-title" data-field="actions">
      <h2 id="actions-title">
        Actions <span class="unit">{actions.length} of at most 10</span>
      </h2>
      <FieldFaults path="actions" />
      {actions.length === 0 && (
        <p class="help">The rule does nothing with the messages that it selects.</p>
      )}
      {actions.map((action, index) => (
        <ActionCard
          key={keys.at(index)}
          title={`Action ${index + 1}`}
          path={`actions[${index}]`}
          action={action}
          onChange={(changed) => {
            if (changed === undefined) keys.remove(index)
            onChange(withItem(actions, index, changed))
          }}
          onMove={{
            up: index === 0 ? undefined : () => swap(index, index - 1),
            down: index === actions.length - 1 ? undefined : () => swap(index, index + 1),
          }}
        />
      ))}
      {actions.length < actionsMax && (
        <AddAction
          label="Kind of the new action"
          button="Add an action"
          onAdd={(kind) => onChange([...actions, newAction(kind, actions)])}
        />
      )}
    </section>
  )
}

/** Keys that move with the actions, so that each keeps its editors. */
function useKeys(count: number) {
  const { current } = useRef<{ keys: number[]; next: number }>({ keys: [], next: 0 })
  while (current.keys.length < count) current.keys.push(current.next++)
  current.keys.length = count
  return {
    at: (index: number) => current.keys[index],
    remove: (index: number) => {
      current.keys.splice(index, 1)
    },
    swap: (one: number, other: number) => {
      const { keys } = current
      ;[keys[one], keys[other]] = [keys[other] ?? 0, keys[one] ?? 0]
    },
  }
}
