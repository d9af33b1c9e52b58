import { StateEffect, StateField } from '@codemirror/state'
import type { EditorState, Extension } from '@codemirror/state'
import { keymap, showTooltip } from '@codemirror/view'
import type { EditorView, Tooltip } from '@codemirror/view'
import type { SqlFunctionWords } from 'virtual:sql-words'
import { functionNamed, openCallOf, tokensOf } from './sql-tokens.ts'
import type { SqlForm } from './sql-tokens.ts'

interface Shown {
  /** Where the name of the function begins. */
  readonly at: number
  readonly argument: number
  readonly called: SqlFunctionWords
  /** Closed with Escape: until the cursor is in another call. */
  readonly isClosed: boolean
}

const close = StateEffect.define()

/** The signature of the call in which the cursor stands, with its parameter set off. */
export function sqlSignature(form: SqlForm): Extension {
  const field = StateField.define<Shown | undefined>({
    create: () => undefined,
    update(shown, { state, effects, docChanged, selection }) {
      if (effects.some((effect) => effect.is(close))) return shown && { ...shown, isClosed: true }
      if (!docChanged && selection === undefined) return shown
      const found = callAt(state, form)
      return found && { ...found, isClosed: shown?.isClosed === true && shown.at === found.at }
    },
    provide: (own) => showTooltip.from(own, (shown) => tooltipOf(shown)),
  })
  const escape = (view: EditorView): boolean => {
    const shown = view.state.field(field)
    if (!shown || shown.isClosed) return false
    view.dispatch({ effects: close.of(null) })
    return true
  }
  return [field, keymap.of([{ key: 'Escape', run: escape }])]
}

function callAt(
  { doc, selection }: EditorState,
  form: SqlForm,
): Omit<Shown, 'isClosed'> | undefined {
  const { head, empty } = selection.main
  if (!empty) return undefined
  const tokens = tokensOf(doc.toString(), form)
  const call = openCallOf(tokens.filter(({ end }) => end <= head))
  const called = call && functionNamed(call.name.text)
  return call && called && { at: call.name.start, argument: call.argument, called }
}

function tooltipOf(shown: Shown | undefined): Tooltip | null {
  if (!shown || shown.isClosed) return null
  const { at, argument, called } = shown
  return { pos: at, above: true, create: () => ({ dom: drawn(called, argument) }) }
}

function drawn({ name, parameters, help }: SqlFunctionWords, argument: number): HTMLElement {
  const dom = document.createElement('div')
  dom.className = 'sql-signature'
  const code = document.createElement('code')
  // A repeated parameter stands for all further ones.
  const current = Math.min(argument, parameters.length - 1)
  code.append(`${name}(`)
  for (const [index, parameter] of parameters.entries()) {
    if (index > 0) code.append(', ')
    const isCurrent =
      index === current && (argument < parameters.length || parameter.endsWith('...'))
    const part = document.createElement(isCurrent ? 'strong' : 'span')
    part.textContent = parameter
    code.append(part)
  }
  code.append(')')
  const line = document.createElement('p')
  line.textContent = help
  dom.append(code, line)
  return dom
}
