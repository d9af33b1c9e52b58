import { acceptCompletion, closeBrackets, closeBracketsKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { nextDiagnostic, previousDiagnostic, setDiagnostics } from '@codemirror/lint'
import type { Diagnostic } from '@codemirror/lint'
import { Compartment, EditorState, Prec } from '@codemirror/state'
import type { Extension, Text } from '@codemirror/state'
import { EditorView, highlightSpecialChars, keymap } from '@codemirror/view'
import type { KeyBinding } from '@codemirror/view'
import { useEffect, useRef } from 'preact/hooks'
import { readToken } from '../../../src/sql/parser/token.ts'
import { codeTheme } from './code-theme.ts'

/** Something wrong at a place of a text. */
export interface CodeFault {
  /** Counted from 1, as is the column; without a place it is of the whole text. */
  readonly line?: number | undefined
  readonly column?: number | undefined
  readonly message: string
}

interface CodeEditorProps {
  /** Its name, for people who do not see the page and for tests. */
  readonly label: string
  readonly value: string
  readonly onInput: (text: string) => void
  readonly faults?: readonly CodeFault[] | undefined
  /** Colours, completion and the like. It is read once. */
  readonly language?: Extension | undefined
  readonly isOneLine?: boolean | undefined
  /** Read out with its name, as are its faults. */
  readonly help?: string | undefined
}

const descriptionId = 'description'
const none: readonly CodeFault[] = []

/**
 * A text with colours. It stands in a shadow root, where the style sheets of CodeMirror are adopted
 * and not written into the page, which the content policy of the console would refuse.
 */
export function CodeEditor(props: CodeEditorProps) {
  const place = useRef<HTMLDivElement>(null)
  const made = useRef<Made>(null)
  const latest = useRef(props)
  latest.current = props
  const { value, faults = none } = props
  useEffect(() => {
    if (!place.current) return undefined
    made.current = makeEditor(place.current, () => latest.current)
    return () => made.current?.view.destroy()
  }, [])
  useEffect(() => made.current?.take(value), [value])
  useEffect(() => made.current?.show(faults), [faults])
  return <div class="code-editor" ref={place} />
}

/** As CodeMirror keeps a text. */
const withoutReturns = (text: string): string => text.replace(/\r\n?/g, '\n')

interface Made {
  readonly view: EditorView
  /** Takes a value of the page, unless it is what was typed here, perhaps some keys ago. */
  take(value: string): void
  show(faults: readonly CodeFault[]): void
}

function makeEditor(place: HTMLElement, latest: () => CodeEditorProps): Made {
  const root = place.shadowRoot ?? place.attachShadow({ mode: 'open', delegatesFocus: true })
  const described = document.createElement('p')
  described.id = descriptionId
  described.hidden = true
  root.replaceChildren(described)
  const attributes = new Compartment()
  /** Texts that the page was told of and has not given back yet. */
  const typed: string[] = []
  let isTaking = false
  const { label, value, language = [], isOneLine = false, help = '' } = latest()
  described.textContent = help
  const attributesOf = (isFaulty: boolean): Extension =>
    EditorView.contentAttributes.of({
      'aria-label': label,
      'aria-multiline': String(!isOneLine),
      'aria-invalid': String(isFaulty),
      'aria-describedby': descriptionId,
    })
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: value,
      extensions: [
        history(),
        highlightSpecialChars(),
        EditorView.lineWrapping,
        closeBrackets(),
        Prec.high(keymap.of(isOneLine ? oneLineKeys : [])),
        language,
        keymap.of([...ownKeys, ...closeBracketsKeymap, ...pageKeysLeft, ...historyKeymap]),
        isOneLine ? EditorView.clipboardInputFilter.of(inOneLine) : [],
        attributes.of(attributesOf(false)),
        codeTheme,
        EditorView.updateListener.of(({ docChanged, state }) => {
          if (!docChanged || isTaking) return
          const text = state.doc.toString()
          typed.push(text)
          latest().onInput(text)
        }),
      ],
    }),
  })
  return {
    view,
    take(given) {
      const known = typed.lastIndexOf(given)
      typed.splice(0, known < 0 ? typed.length : known + 1)
      if (known >= 0 || withoutReturns(given) === view.state.doc.toString()) return
      isTaking = true
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: given } })
      isTaking = false
    },
    show(faults) {
      const diagnostics = faults.map((fault) => diagnosticOf(fault, view.state.doc))
      described.textContent = [...faults.map(({ message }) => `${message}.`), help].join(' ')
      view.dispatch(setDiagnostics(view.state, diagnostics), {
        effects: attributes.reconfigure(attributesOf(faults.length > 0)),
      })
    },
  }
}

/** Ctrl+Enter belongs to the page, which tries the rule. */
const pageKeysLeft = defaultKeymap.filter(({ key }) => key !== 'Mod-Enter')

/** Tells people who do not see it what the fault is to which they went. */
const announced =
  (go: (view: EditorView) => boolean) =>
  (view: EditorView): boolean => {
    if (!go(view)) return false
    const described = (view.root as ShadowRoot).getElementById(descriptionId)?.textContent ?? ''
    view.dispatch({ effects: EditorView.announce.of(described) })
    return true
  }

const ownKeys: readonly KeyBinding[] = [
  { key: 'F8', run: announced(nextDiagnostic), shift: announced(previousDiagnostic) },
  // Without a list of completions the key goes on to the next field.
  { key: 'Tab', run: acceptCompletion },
]
const oneLineKeys: readonly KeyBinding[] = [
  { key: 'Enter', run: (view) => acceptCompletion(view) || true },
]

const inOneLine = (text: string): string => text.replace(/\s*\n\s*/g, ' ')

/** The word at the place of a fault, or the whole text. */
function diagnosticOf({ line, column, message }: CodeFault, doc: Text): Diagnostic {
  const severity = 'error' as const
  if (line === undefined || column === undefined || line > doc.lines) {
    return { from: 0, to: doc.length, severity, message }
  }
  const from = Math.min(doc.line(line).from + column - 1, doc.length)
  const { start, end } = readToken(doc.toString(), from)
  return { from, to: start === from ? end : Math.min(from + 1, doc.length), severity, message }
}
