import { RangeSetBuilder } from '@codemirror/state'
import type { Extension } from '@codemirror/state'
import { Decoration, ViewPlugin } from '@codemirror/view'
import type { DecorationSet, EditorView } from '@codemirror/view'
import { tokensOf } from './sql-tokens.ts'
import type { Role, SqlForm } from './sql-tokens.ts'

const marks = new Map<Role, Decoration>()

function markOf(role: Role): Decoration {
  const known = marks.get(role) ?? Decoration.mark({ class: `sql-${role}` })
  marks.set(role, known)
  return known
}

/** Colours for AWS IoT SQL. A statement is short enough to be read again after each key. */
export const sqlColours = (form: SqlForm): Extension =>
  ViewPlugin.define(
    (view) => {
      const plugin = {
        decorations: decorationsOf(view, form),
        update({ docChanged }: { readonly docChanged: boolean }) {
          if (docChanged) plugin.decorations = decorationsOf(view, form)
        },
      }
      return plugin
    },
    { decorations: ({ decorations }) => decorations },
  )

function decorationsOf({ state }: EditorView, form: SqlForm): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>()
  for (const { start, end, role } of tokensOf(state.doc.toString(), form)) {
    if (role !== 'name' && role !== 'symbol') builder.add(start, end, markOf(role))
  }
  return builder.finish()
}
