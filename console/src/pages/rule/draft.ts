import { useState } from 'preact/hooks'
import { forgetDraft, keptDraft, useKeptDraft } from '../../parts/kept-draft.ts'
import { isMembers } from './action-schema.ts'
import type { Members } from './action-schema.ts'
import { jsonProblemOf } from './json-problem.ts'
import { rulePath } from './rule-payload.ts'
import type { RulePayload } from './rule-payload.ts'

/** What was typed when the page was left. */
interface KeptRule {
  readonly ruleName: string
  readonly sql: string
  readonly settings: Members
  readonly json?: string | undefined
}

/** What is typed: the statement, and the rest as a form or as JSON. */
export interface Draft {
  readonly sql: string
  readonly settings: Members
  /** The rest as it is typed, while it is shown as JSON. */
  readonly json: string | undefined
  /** Why the JSON cannot be used; `settings` are those before. */
  readonly problem: string | undefined
  /** The rule, unless it cannot be read. */
  readonly payload: RulePayload | undefined
  readonly setSql: (sql: string) => void
  readonly setSettings: (settings: Members) => void
  readonly setJson: (json: string) => void
  readonly showAs: (view: 'form' | 'JSON') => void
  /** What is typed stays when the stored rule is enabled or disabled meanwhile. */
  readonly setDisabled: (ruleDisabled: boolean) => void
  /** Takes the stored rule again. */
  readonly discard: () => void
}

/**
 * Both views show the same members: what the form does not know stands in it as JSON.
 *
 * @param kept what was typed before
 */
function useDraft({ sql: storedSql, ...stored }: RulePayload, kept?: KeptRule): Draft {
  const [sql, setSql] = useState(kept?.sql ?? storedSql)
  const [settings, setSettings] = useState<Members>(kept?.settings ?? stored)
  const [json, setText] = useState(kept?.json)
  const [problem, setProblem] = useState(() =>
    json === undefined ? undefined : readSettings(json).problem,
  )
  const payload = problem === undefined ? ({ sql, ...settings } as RulePayload) : undefined
  return {
    sql,
    settings,
    json,
    problem,
    payload,
    setSql,
    setSettings,
    setJson(text) {
      setText(text)
      const read = readSettings(text)
      setProblem(read.problem)
      if (read.settings) setSettings(read.settings)
    },
    showAs(view) {
      setText(view === 'JSON' ? JSON.stringify(settings, null, 2) : undefined)
      setProblem(undefined)
    },
    setDisabled(ruleDisabled) {
      const changed = { ...settings, ruleDisabled }
      setSettings(changed)
      if (json !== undefined && problem === undefined) setText(JSON.stringify(changed, null, 2))
    },
    discard() {
      setSql(storedSql)
      setSettings(stored)
      setText(undefined)
      setProblem(undefined)
    },
  }
}

/**
 * The draft of a rule and its name. While it is not what is stored, it is kept in this tab.
 *
 * @param name of the stored rule; undefined for a new one, which has `newName` at first
 */
export function useKeptRule(name: string | undefined, newName: string, stored: RulePayload) {
  const path = rulePath(name ?? '')
  const [kept, setKept] = useState(() => keptDraft(path) as KeptRule | undefined)
  const firstName = name ?? newName
  const [ruleName, setName] = useState(kept?.ruleName ?? firstName)
  const draft = useDraft(stored, kept)
  const { payload, sql, settings, json } = draft
  const isChanged = payload === undefined || JSON.stringify(payload) !== JSON.stringify(stored)
  const isTyped = isChanged || ruleName !== firstName
  useKeptDraft(path, isTyped ? { ruleName, sql, settings, json } : undefined)
  return {
    draft,
    payload,
    ruleName,
    setName,
    isChanged,
    /** Whether this is what was typed before. */
    isKept: kept !== undefined && isTyped,
    discard: () => {
      setKept(undefined)
      setName(firstName)
      draft.discard()
    },
    /** What is typed is stored now. */
    forget: () => forgetDraft(path),
  }
}

function readSettings(text: string): { readonly settings?: Members; readonly problem?: string } {
  try {
    const read: unknown = JSON.parse(text)
    if (!isMembers(read)) return { problem: 'the settings must be an object: {...}' }
    if (Object.hasOwn(read, 'sql')) {
      return { problem: 'the statement has a field of its own: take "sql" out' }
    }
    return { settings: read }
  } catch (thrown) {
    return { problem: jsonProblemOf(thrown, text) }
  }
}
