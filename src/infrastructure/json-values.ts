import type { JsonObject } from './stack.ts'

export function isRecord(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An own member, or undefined: names such as `constructor` are no members. */
export function memberOf(value: unknown, name: string): unknown {
  return isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined
}

/** The member of a member and so on. */
export function memberAt(value: unknown, ...names: readonly string[]): unknown {
  return names.reduce(memberOf, value)
}

export function entriesOf(value: unknown): readonly (readonly [string, unknown])[] {
  return isRecord(value) ? Object.entries(value) : []
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : []
}

/** A scalar as text; undefined for everything else. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

/** A number that may be written as text. */
export function numberOf(value: unknown): number | undefined {
  const text = textOf(value)
  if (text === undefined || text.trim() === '') return undefined
  const number = Number(text)
  return Number.isFinite(number) ? number : undefined
}

/** A boolean that may be written as text. */
export function booleanOf(value: unknown): boolean | undefined {
  const text = textOf(value)?.toLowerCase()
  if (text === 'true') return true
  return text === 'false' ? false : undefined
}
