import type { ComponentChildren } from 'preact'
import { useContext, useId } from 'preact/hooks'
import { CodeEditor } from '../../code/code-editor.tsx'
import type { FieldSchema } from './action-schema.ts'
import { FieldFaults, FieldsContext } from './fields-context.tsx'

export interface FieldProps {
  readonly name: string
  /** Where it stands in the payload, as the engine names it in a fault. */
  readonly path: string
  readonly schema: FieldSchema
  /** Undefined: it is not there. */
  readonly value: unknown
  readonly isRequired: boolean
  /** Undefined takes it away. */
  readonly onChange: (value: unknown) => void
}

export const isText = (value: unknown): value is string => typeof value === 'string'

export function Help({ schema }: Pick<FieldProps, 'schema'>) {
  if (schema.description === undefined) return null
  return <p class="help">{schema.description}</p>
}

/** A name that is read as the API has it, with a mark when nothing need stand there. */
function FieldName({ name, isRequired }: Pick<FieldProps, 'name' | 'isRequired'>) {
  return (
    <span class="field-name">
      <code>{name}</code>
      {!isRequired && <span class="unit"> optional</span>}
    </span>
  )
}

/** A control below its name, with help and faults that describe it. */
function LabelledField({
  name,
  path,
  schema,
  isRequired,
  draw,
}: Pick<FieldProps, 'name' | 'path' | 'schema' | 'isRequired'> & {
  draw: (attributes: {
    readonly 'aria-describedby': string
    readonly 'aria-invalid': boolean
  }) => ComponentChildren
}) {
  const { byField } = useContext(FieldsContext)
  const id = useId()
  return (
    <div class="field" data-field={path}>
      <label>
        <FieldName name={name} isRequired={isRequired} />
        {draw({ 'aria-describedby': id, 'aria-invalid': byField.has(path) })}
      </label>
      <div id={id}>
        <Help schema={schema} />
        <FieldFaults path={path} />
      </div>
    </div>
  )
}

/** A text. Most take templates, whose expressions have colours and completion. */
export function TextField(props: FieldProps) {
  const { name, path, schema, value, isRequired, onChange } = props
  const { template, byField } = useContext(FieldsContext)
  const text = isText(value) ? value : ''
  const change = (typed: string) => onChange(typed === '' && !isRequired ? undefined : typed)
  // What has a fixed form, such as a role, takes no template.
  if (schema.pattern !== undefined) {
    return (
      <LabelledField
        {...props}
        draw={(attributes) => (
          <input
            {...attributes}
            value={text}
            spellcheck={false}
            onInput={({ currentTarget }) => change(currentTarget.value)}
          />
        )}
      />
    )
  }
  return (
    <div class="field" data-field={path}>
      <FieldName name={name} isRequired={isRequired} />
      <CodeEditor
        label={name}
        help={schema.description}
        value={text}
        language={template}
        faults={byField.get(path)}
        isOneLine
        onInput={change}
      />
      <Help schema={schema} />
      <FieldFaults path={path} />
    </div>
  )
}

export function NumberField(props: FieldProps) {
  const { schema, value, onChange } = props
  return (
    <LabelledField
      {...props}
      draw={(attributes) => (
        <input
          {...attributes}
          type="number"
          value={typeof value === 'number' ? value : ''}
          min={schema.minimum}
          max={schema.maximum}
          onInput={({ currentTarget: { value: typed } }) =>
            onChange(typed === '' ? undefined : Number(typed))
          }
        />
      )}
    />
  )
}

export function FlagField({ name, path, schema, value, isRequired, onChange }: FieldProps) {
  const id = useId()
  return (
    <div class="field" data-field={path}>
      <label class="flag">
        <input
          type="checkbox"
          checked={value === true}
          aria-describedby={id}
          onChange={({ currentTarget }) => onChange(currentTarget.checked)}
        />
        <code>{name}</code>
        {!isRequired && value === undefined && <span class="unit"> not set</span>}
      </label>
      <div id={id}>
        <Help schema={schema} />
        <FieldFaults path={path} />
      </div>
    </div>
  )
}

export function ChoiceField(props: FieldProps) {
  const { schema, value, isRequired, onChange } = props
  const choices = schema.enum ?? []
  return (
    <LabelledField
      {...props}
      draw={(attributes) => (
        <select
          {...attributes}
          value={String(choices.findIndex((each) => each === value))}
          onChange={({ currentTarget }) => onChange(choices[Number(currentTarget.value)])}
        >
          {(!isRequired || value === undefined) && <option value="-1">not set</option>}
          {choices.map((choice, index) => (
            <option key={choice} value={String(index)}>
              {shown(choice)}
            </option>
          ))}
        </select>
      )}
    />
  )
}

/** A line feed is read as `\n`. */
const shown = (choice: string | number): string =>
  typeof choice === 'string' ? JSON.stringify(choice).slice(1, -1) : String(choice)
