import type { Extension } from '@codemirror/state'
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { FaultsByField } from './check.ts'

/** What every field of the form needs. */
export interface Fields {
  readonly byField: FaultsByField
  /** Colours and completion in `${...}`. */
  readonly template: Extension
}

export const FieldsContext = createContext<Fields>({ byField: new Map(), template: [] })

/** The faults of one field, in words beside it. */
export function FieldFaults({ path }: { path: string }) {
  const { byField } = useContext(FieldsContext)
  const faults = byField.get(path) ?? []
  return (
    <>
      {faults.map(({ message, column }, index) => (
        <p key={index} class="field-fault">
          {column === undefined ? message : `character ${column}: ${message}`}
        </p>
      ))}
    </>
  )
}
