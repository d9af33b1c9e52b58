import { useState } from 'preact/hooks'
import { actionKinds, readAction } from './action-schema.ts'
import { FieldFaults } from './fields-context.tsx'
import { MemberFields } from './schema-field.tsx'
import { RawField } from './raw-field.tsx'

/** One action as a form. */
export function ActionCard({
  title,
  path,
  action,
  onChange,
  onMove,
}: {
  title: string
  /** `actions[0]` or `errorAction`. */
  path: string
  action: unknown
  /** Undefined takes it away. */
  onChange: (action: unknown) => void
  /** Where it can go: up, down. */
  onMove?: { readonly up?: (() => void) | undefined; readonly down?: (() => void) | undefined }
}) {
  const read = readAction(action)
  const name = read ? `${title}: ${read.kind}` : title
  return (
    <section class="action-card" aria-label={name} data-field={path}>
      <header>
        <h3>
          {title}
          {read && <code>{read.kind}</code>}
        </h3>
        <div class="buttons">
          {onMove && (
            <>
              <MoveButton what={`Move ${name} up`} sign="↑" onClick={onMove.up} />
              <MoveButton what={`Move ${name} down`} sign="↓" onClick={onMove.down} />
            </>
          )}
          <button
            type="button"
            class="quiet"
            aria-label={`Remove ${name}`}
            onClick={() => onChange(undefined)}
          >
            Remove
          </button>
        </div>
      </header>
      <FieldFaults path={path} />
      {read && <FieldFaults path={`${path}.${read.kind}`} />}
      {read ? (
        <MemberFields
          schema={read.schema}
          path={`${path}.${read.kind}`}
          members={read.fields}
          onChange={(fields) => onChange({ [read.kind]: fields })}
        />
      ) : (
        <RawField name={title} path={path} value={action} isRequired onChange={onChange} />
      )}
    </section>
  )
}

function MoveButton({
  what,
  sign,
  onClick,
}: {
  what: string
  sign: string
  onClick: (() => void) | undefined
}) {
  return (
    <button
      type="button"
      class="quiet"
      aria-label={what}
      title={what}
      disabled={!onClick}
      onClick={onClick}
    >
      {sign}
    </button>
  )
}

/** Chooses the kind of a new action. */
export function AddAction({
  label,
  button,
  onAdd,
}: {
  label: string
  button: string
  onAdd: (kind: string) => void
}) {
  const [kind, setKind] = useState('kinesis')
  return (
    <div class="add-action">
      <select
        aria-label={label}
        value={kind}
        onChange={({ currentTarget }) => setKind(currentTarget.value)}
      >
        {actionKinds.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </select>
      <button type="button" onClick={() => onAdd(kind)}>
        {button}
      </button>
    </div>
  )
}
