import type { RulePayload } from './rule-payload.ts'

/** What is typed, as a payload when it can be read as one. */
export type Draft =
  | { readonly payload: RulePayload; readonly problem?: undefined }
  | { readonly payload?: undefined; readonly problem: string }

export function readDraft(sql: string, members: string): Draft {
  try {
    const given = JSON.parse(members) as Omit<RulePayload, 'sql'>
    return { payload: { sql, ...given } }
  } catch (thrown) {
    return { problem: `Actions and settings are no JSON: ${(thrown as Error).message}` }
  }
}
