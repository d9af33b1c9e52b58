import { useContext, useState } from 'preact/hooks'
import { CodeEditor } from '../../code/code-editor.tsx'
import { blankOf, isMembers, withItem, withMember } from './action-schema.ts'
import type { FieldSchema, Members } from './action-schema.ts'
import { FieldFaults, FieldsContext } from './fields-context.tsx'
import { ChoiceField, FlagField, Help, NumberField, TextField, isText } from './plain-fields.tsx'
import type { FieldProps } from './plain-fields.tsx'
import { RawField } from './raw-field.tsx'

/** A field of a form, made from its schema. A value that does not fit is shown as JSON. */
export function SchemaField(props: FieldProps) {
  const { schema, value } = props
  if (!fits(schema, value)) return <RawField {...props} />
  if (schema.enum) return <ChoiceField {...props} />
  switch (schema.type ?? 'string') {
    case 'boolean':
      return <FlagField {...props} />
    case 'integer':
      return <NumberField {...props} />
    case 'array':
      return <ListField {...props} />
    case 'object':
      return schema.patternProperties ? <MapField {...props} /> : <ObjectField {...props} />
    case 'string':
    default:
      return <TextField {...props} />
  }
}

function fits(schema: FieldSchema, value: unknown): boolean {
  if (value === undefined) return true
  if (schema.enum) return schema.enum.some((each) => each === value)
  switch (schema.type ?? 'string') {
    case 'boolean':
      return typeof value === 'boolean'
    case 'integer':
      return typeof value === 'number'
    case 'array':
      return Array.isArray(value)
    case 'object':
      if (!isMembers(value)) return false
      return !schema.patternProperties || Object.values(value).every((each) => isText(each))
    case 'string':
    default:
      return isText(value)
  }
}

interface MemberFieldsProps {
  readonly schema: FieldSchema
  readonly path: string
  readonly members: Members
  readonly onChange: (members: Members) => void
}

/** All members of an object: what it must have first, and what its schema does not know as JSON. */
export function MemberFields({ schema, path, members, onChange }: MemberFieldsProps) {
  const { byField } = useContext(FieldsContext)
  const { properties = {}, required = [] } = schema
  const names = Object.keys(properties)
  const optional = names.filter((name) => !required.includes(name))
  const isOpen = optional.some(
    (name) => Object.hasOwn(members, name) || byField.has(`${path}.${name}`),
  )
  const unknown = Object.keys(members).filter((name) => !names.includes(name))
  const fieldOf = (name: string) => (
    <SchemaField
      key={name}
      name={name}
      path={`${path}.${name}`}
      schema={properties[name] ?? {}}
      value={members[name]}
      isRequired={required.includes(name)}
      onChange={(value) => onChange(withMember(members, name, value))}
    />
  )
  return (
    <div class="fields">
      {required.map(fieldOf)}
      {unknown.map((name) => (
        <RawField
          key={name}
          name={name}
          path={`${path}.${name}`}
          value={members[name]}
          isRequired={false}
          onChange={(value) => onChange(withMember(members, name, value))}
        />
      ))}
      {optional.length > 0 && (
        <Optional names={optional} isOpen={isOpen || required.length === 0}>
          {optional.map(fieldOf)}
        </Optional>
      )}
    </div>
  )
}

/** Folded until one of them is there. */
function Optional({
  names,
  isOpen,
  children,
}: {
  names: readonly string[]
  isOpen: boolean
  children: preact.ComponentChildren
}) {
  const [isOpened, setOpened] = useState(isOpen)
  return (
    <details
      open={isOpened || isOpen}
      onToggle={({ currentTarget }) => setOpened(currentTarget.open)}
    >
      <summary>
        Optional: <code>{names.join(', ')}</code>
      </summary>
      <div class="fields">{(isOpened || isOpen) && children}</div>
    </details>
  )
}

/** An object in an object. */
export function ObjectField({ name, path, schema, value, isRequired, onChange }: FieldProps) {
  if (value === undefined) {
    return <AddField {...{ name, path, schema }} onAdd={() => onChange(blankOf(schema))} />
  }
  return (
    <fieldset data-field={path}>
      <legend>
        <code>{name}</code>
      </legend>
      <Help schema={schema} />
      <FieldFaults path={path} />
      <MemberFields
        schema={schema}
        path={path}
        members={isMembers(value) ? value : {}}
        onChange={onChange}
      />
      {!isRequired && <RemoveButton what={name} onClick={() => onChange(undefined)} />}
    </fieldset>
  )
}

export function ListField({ name, path, schema, value, isRequired, onChange }: FieldProps) {
  const { items: itemSchema = {} } = schema
  const items = Array.isArray(value) ? (value as readonly unknown[]) : undefined
  const add = () => onChange([...(items ?? []), blankOf(itemSchema)])
  if (!items) return <AddField {...{ name, path, schema }} onAdd={add} />
  const change = (index: number, item: unknown) => {
    const changed = withItem(items, index, item)
    onChange(changed.length === 0 && !isRequired ? undefined : changed)
  }
  return (
    <fieldset data-field={path}>
      <legend>
        <code>{name}</code>
      </legend>
      <Help schema={schema} />
      <FieldFaults path={path} />
      {items.map((item, index) => (
        <div key={index} class="item" role="group" aria-label={`${name} ${index + 1}`}>
          {isMembers(item) ? (
            <MemberFields
              schema={itemSchema}
              path={`${path}[${index}]`}
              members={item}
              onChange={(members) => change(index, members)}
            />
          ) : (
            <RawField
              name={`${name} ${index + 1}`}
              path={`${path}[${index}]`}
              value={item}
              isRequired
              onChange={(changed) => change(index, changed)}
            />
          )}
          <FieldFaults path={`${path}[${index}]`} />
          <RemoveButton what={`${name} ${index + 1}`} onClick={() => change(index, undefined)} />
        </div>
      ))}
      <button type="button" class="quiet" onClick={add}>
        Add to {name}
      </button>
    </fieldset>
  )
}

/** An object with names of the writer's own, such as tags. */
export function MapField({ name, path, schema, value, isRequired, onChange }: FieldProps) {
  const { template, byField } = useContext(FieldsContext)
  const members = isMembers(value) ? value : {}
  const entries = Object.entries(members)
  const add = () => onChange({ ...members, [freeName(members)]: '' })
  if (value === undefined) return <AddField {...{ name, path, schema }} onAdd={add} />
  const rename = (old: string, fresh: string) =>
    onChange(Object.fromEntries(entries.map(([each, own]) => [each === old ? fresh : each, own])))
  const remove = (old: string) => {
    const rest = withMember(members, old, undefined)
    onChange(Object.keys(rest).length === 0 && !isRequired ? undefined : rest)
  }
  return (
    <fieldset data-field={path}>
      <legend>
        <code>{name}</code>
      </legend>
      <Help schema={schema} />
      <FieldFaults path={path} />
      {entries.map(([each, own], index) => (
        <div key={index} class="item pair" role="group" aria-label={`${name} ${index + 1}`}>
          <EntryName
            name={each}
            isTaken={(fresh) => Object.hasOwn(members, fresh)}
            onRename={(fresh) => rename(each, fresh)}
          />
          <div class="field" data-field={`${path}.${each}`}>
            <span class="field-name">value</span>
            <CodeEditor
              label="value"
              value={String(own)}
              language={template}
              faults={byField.get(`${path}.${each}`)}
              isOneLine
              onInput={(text) => onChange({ ...members, [each]: text })}
            />
            <FieldFaults path={`${path}.${each}`} />
          </div>
          <RemoveButton what={each} onClick={() => remove(each)} />
        </div>
      ))}
      <button type="button" class="quiet" onClick={add}>
        Add to {name}
      </button>
    </fieldset>
  )
}

function freeName(members: Members): string {
  let number = 1
  while (Object.hasOwn(members, `name${number}`)) number++
  return `name${number}`
}

/** Two entries of one name cannot be kept: the second one waits until it has a name of its own. */
function EntryName({
  name,
  isTaken,
  onRename,
}: {
  name: string
  isTaken: (fresh: string) => boolean
  onRename: (fresh: string) => void
}) {
  const [typed, setTyped] = useState<string>()
  return (
    <label class="field">
      <span class="field-name">name</span>
      <input
        value={typed ?? name}
        spellcheck={false}
        aria-invalid={typed !== undefined}
        onInput={({ currentTarget: { value: fresh } }) => {
          const isDouble = fresh !== name && isTaken(fresh)
          setTyped(isDouble ? fresh : undefined)
          if (!isDouble) onRename(fresh)
        }}
        onBlur={() => setTyped(undefined)}
      />
      {typed !== undefined && <p class="field-fault">another entry has the name {typed}</p>}
    </label>
  )
}

function AddField({
  name,
  path,
  schema,
  onAdd,
}: Pick<FieldProps, 'name' | 'path' | 'schema'> & { onAdd: () => void }) {
  return (
    <div class="field" data-field={path}>
      <button type="button" class="quiet" onClick={onAdd}>
        Add {name}
      </button>
      <Help schema={schema} />
      <FieldFaults path={path} />
    </div>
  )
}

function RemoveButton({ what, onClick }: { what: string; onClick: () => void }) {
  return (
    <button type="button" class="quiet" onClick={onClick}>
      Remove {what}
    </button>
  )
}
