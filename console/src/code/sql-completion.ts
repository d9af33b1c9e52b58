import { autocompletion, insertCompletionText } from '@codemirror/autocomplete'
import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete'
import { functions, types } from 'virtual:sql-words'
import type { SqlFunctionWords } from 'virtual:sql-words'
import type { Extension } from '@codemirror/state'
import type { EditorView } from '@codemirror/view'
import { keywords, openCallOf, tokensOf } from './sql-tokens.ts'
import type { SqlForm, SqlToken } from './sql-tokens.ts'

/** `substring(text, start, end?)` */
export const signatureOf = ({ name, parameters }: SqlFunctionWords): string =>
  `${name}(${parameters.join(', ')})`

const functionCompletions = functions.map((each): Completion => ({
  label: each.name,
  detail: signatureOf(each).slice(each.name.length),
  info: each.since === '2015-10-08' ? each.help : `${each.help} Since ${each.since}.`,
  type: 'function',
  boost: -1,
  apply: (view, _completion, from, to) => applyCall(view, from, to, each),
}))

/** Writes `topic()`, with the cursor between the brackets when something may stand there. */
function applyCall(
  view: EditorView,
  from: number,
  to: number,
  { name, parameters }: SqlFunctionWords,
): void {
  const isCall = view.state.sliceDoc(to, to + 1) === '('
  const text = isCall ? name : `${name}()`
  const inside = from + name.length + 1
  view.dispatch(insertCompletionText(view.state, text, from, to), {
    selection: { anchor: parameters.length === 0 && !isCall ? inside + 1 : inside },
    sequential: true,
  })
}

const keywordCompletions = keywords.map((label): Completion => ({
  label,
  type: 'keyword',
  boost: -2,
}))
const typeCompletions = types.map((label): Completion => ({ label, type: 'type' }))

/** Longer lists are of no help: a payload may have thousands of members. */
const membersMax = 500

/**
 * Completes functions, keywords, the types of `cast`, and members of an example message.
 *
 * @param exampleOf the payload of the message on which the rule is tried, as text
 */
export function sqlCompletion(form: SqlForm, exampleOf: () => string): Extension {
  return autocompletion({
    override: [(context) => completionsAt(context, form, exampleOf)],
    icons: false,
  })
}

function completionsAt(
  { state, pos, explicit }: CompletionContext,
  form: SqlForm,
  exampleOf: () => string,
): CompletionResult | null {
  const tokens = tokensOf(state.doc.toString(), form)
  if (tokens.some((token) => isText(token) && token.start < pos && pos < token.end)) return null
  const before = tokens.filter(({ end }) => end <= pos)
  if (form === 'template' && !isInTemplate(before)) return null
  const last = before.at(-1)
  const isInWord = last !== undefined && last.end === pos && /^[\p{L}_]/u.test(last.text)
  if (isInWord && isText(last)) return null
  const word = isInWord && last.role !== 'variable' ? last : undefined
  const left = word ? before.slice(0, -1) : before
  const from = word?.start ?? pos
  const path = pathBefore(left)
  if (path !== undefined) return { from, options: membersAt(exampleOf(), path), validFor: /^\w*$/ }
  if (word === undefined && !explicit) return null
  const isType = left.at(-1)?.keyword === 'AS' && openCallOf(left)?.name.keyword === 'CAST'
  if (isType) return { from, options: typeCompletions, validFor: /^\w*$/ }
  const members = membersAt(exampleOf(), [])
  return {
    from,
    options: [...members, ...functionCompletions, ...keywordCompletions],
    validFor: /^\w*$/,
  }
}

const isText = ({ role, text }: SqlToken): boolean =>
  role === 'string' || role === 'filter' || (role === 'invalid' && text.includes('no closing'))

function isInTemplate(before: readonly SqlToken[]): boolean {
  const bracket = before.findLast(({ role }) => role === 'bracket')
  return bracket?.text === '${'
}

/** The names before the point at the end: `['a', 'b']` of `a.b.`; undefined without a point. */
function pathBefore(tokens: readonly SqlToken[]): readonly string[] | undefined {
  if (tokens.at(-1)?.keyword !== '.') return undefined
  const names: string[] = []
  let index = tokens.length - 1
  while (tokens[index]?.keyword === '.') {
    const name = tokens[index - 1]
    if (name?.keyword === '*') break
    if (name?.role !== 'name') return undefined
    names.unshift(name.text)
    index -= 2
  }
  return names
}

/** The members of the object at a path of the payload that can be written as names. */
function membersAt(example: string, path: readonly string[]): readonly Completion[] {
  const object = path.reduce<unknown>(
    (value, name) => (isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined),
    parsed(example),
  )
  if (!isObject(object)) return []
  return Object.entries(object)
    .filter(([name]) => /^[\p{L}_][\p{L}\p{M}\p{N}_]*$/u.test(name))
    .slice(0, membersMax)
    .map(([label, value]) => ({ label, detail: shortened(value), type: 'property' }))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function shortened(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > 24 ? ` ${text.slice(0, 23)}…` : ` ${text}`
}
