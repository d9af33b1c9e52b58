import { EditorView } from '@codemirror/view'

const popup = {
  border: '1px solid var(--line)',
  borderRadius: '6px',
  backgroundColor: 'var(--card)',
  color: 'var(--text)',
  boxShadow: '0 4px 16px rgb(0 0 0 / 20%)',
  maxWidth: 'min(480px, calc(100vw - 32px))',
}

/** The colours follow the page, whose custom properties reach into the shadow root. */
export const codeTheme = EditorView.theme({
  '&': {
    border: '1px solid var(--line)',
    borderRadius: '6px',
    backgroundColor: 'var(--card)',
    color: 'var(--text)',
    fontSize: '13px',
  },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '2px' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.5', maxHeight: '24rem' },
  '.cm-content': { padding: '6px 0', caretColor: 'var(--text)' },
  '.cm-line': { padding: '0 8px' },
  '.cm-placeholder': { color: 'var(--soft)' },
  '.cm-specialChar': { color: 'var(--bad)' },
  '.sql-keyword': { color: 'var(--accent)', fontWeight: '600' },
  '.sql-function, .sql-type': { color: 'var(--series-2)' },
  '.sql-string': { color: 'var(--good)' },
  '.sql-filter': { color: 'var(--good)', fontWeight: '600' },
  '.sql-number': { color: 'var(--late)' },
  '.sql-variable': { color: 'var(--late)' },
  '.sql-bracket': { color: 'var(--accent)', fontWeight: '600' },
  '.sql-invalid': { color: 'var(--bad)' },
  '.cm-diagnostic': {
    borderLeft: '4px solid var(--bad)',
    padding: '4px 8px',
    fontFamily: 'system-ui, sans-serif',
  },
  '.cm-tooltip': popup,
  '.cm-tooltip.cm-tooltip-autocomplete > ul': {
    fontFamily: 'var(--mono)',
    maxWidth: 'calc(100vw - 32px)',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 8px' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': {
    backgroundColor: 'var(--accent)',
    color: 'var(--on-accent)',
  },
  '.cm-completionMatchedText': { textDecoration: 'none', fontWeight: '700' },
  '.cm-completionDetail': { fontStyle: 'normal', opacity: '0.8' },
  '.cm-tooltip.cm-completionInfo': {
    ...popup,
    padding: '6px 8px',
    fontFamily: 'system-ui, sans-serif',
  },
  '.cm-tooltip.sql-signature': { ...popup, padding: '4px 8px' },
  '.sql-signature p': { margin: '0', fontFamily: 'system-ui, sans-serif', color: 'var(--soft)' },
  '.sql-signature strong': { color: 'var(--accent)' },
})
