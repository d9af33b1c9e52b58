import { isUtf8 } from 'node:buffer'
import { redactedJson, redactedText } from './redacted-json.ts'
import { alternativesOf, createSecrets } from './secrets.ts'
import type { Secrets } from './secrets.ts'

/**
 * What people are shown of messages when `SLUICE_REDACT` names members that they must not see. What
 * is stored and what is delivered stays as it is.
 *
 * - In JSON, the value of a member with such a name is redacted, at any depth, also in JSON that is
 *   the text of a string, or base64 in one.
 * - A text that comes from a message, such as a partition key, does not show what such members of
 *   the message contain, under whatever name it got there.
 * - What is not JSON cannot be searched, and is not shown.
 */
export interface Redaction {
  /** The names of the members, to make the same redaction in another thread. */
  readonly names: readonly string[]
  /** Whether a member, in any letter case, is not shown. */
  readonly hides: (name: string) => boolean
  /** Whether a substitution template in the text names such a member. */
  readonly isNamedInTemplates: (text: string) => boolean
  /** @param payload of the message that the rest comes from; absent: it is not known */
  readonly of: (payload?: Uint8Array) => MessageRedaction
  /** A line of the log: `name: value`, `name=value` and `"name": "value"` are found in it. */
  readonly line: (text: string) => string
}

/** The same for what comes from one message. */
export interface MessageRedaction {
  /** A text such as a partition key, a topic or a reason. */
  readonly text: (text: string) => string
  /** @returns undefined when the text is not JSON */
  readonly json: (text: string) => string | undefined
  /** @returns undefined when the bytes are not JSON */
  readonly bytes: (data: Uint8Array) => Buffer | undefined
  /** Any value of JSON; strings in it may contain JSON. */
  readonly value: (value: unknown) => unknown
}

/** JSON in a string of JSON, in a string of JSON: what is deeper is not searched by names. */
const embeddedMax = 4
const base64Form = /^[\w+/-]{8,}={0,2}$/

/** @param names of members; undefined is returned when there are none */
export function createRedaction(names: readonly string[]): Redaction | undefined {
  if (names.length === 0) return undefined
  const hiddenNames = new Set(names.map((name) => name.toLowerCase()))
  const hides = (name: string) => hiddenNames.has(name.toLowerCase())
  const anyName = alternativesOf(names)
  return {
    names,
    hides,
    isNamedInTemplates: templateTest(anyName),
    of: (payload) => redactionOf(hides, secretsOf(payload, hides)),
    line: lineRedaction(anyName),
  }
}

function redactionOf(hides: Redaction['hides'], secrets: Secrets): MessageRedaction {
  const hidesNumber = (text: string) => secrets.isOne(text)

  const string = (text: string, depth: number): string => {
    if (depth > embeddedMax) return secrets.without(text)
    return embedded(text, (inner) => json(inner, depth + 1)) ?? secrets.without(text)
  }
  const json = (text: string, depth: number): string | undefined =>
    redactedJson(text, { hides, hidesNumber, string: (value) => string(value, depth) })

  const value = (given: unknown): unknown => {
    if (typeof given === 'string') return string(given, 0)
    if (typeof given === 'number') return hidesNumber(`${given}`) ? redactedText : given
    if (Array.isArray(given)) return given.map(value)
    if (typeof given !== 'object' || given === null) return given
    return Object.fromEntries(
      Object.entries(given).map(([name, member]) => [
        secrets.without(name),
        hides(name) ? redactedText : value(member),
      ]),
    )
  }

  return {
    text: (text) => string(text, 0),
    json: (text) => json(text, 0),
    bytes(data) {
      const text = textOf(data)
      const shown = text === undefined ? undefined : json(text, 0)
      return shown === undefined ? undefined : Buffer.from(shown)
    },
    value,
  }
}

/** What the members of a message contain that are not shown. */
function secretsOf(payload: Uint8Array | undefined, hides: Redaction['hides']): Secrets {
  const secrets = createSecrets(hides)
  const collect = (text: string, depth: number): string | undefined =>
    redactedJson(text, {
      hides,
      hidden: secrets.addAllOf,
      hidesNumber: () => false,
      string(value) {
        if (depth < embeddedMax) embedded(value, (inner) => collect(inner, depth + 1))
        return value
      },
    })
  const text = payload && textOf(payload)
  if (text !== undefined) collect(text, 0)
  return secrets
}

/** Applies a change to the JSON that a text is, or that it is the base64 of. */
function embedded(text: string, change: (json: string) => string | undefined): string | undefined {
  if (isLikeJson(text)) return change(text)
  if (!base64Form.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64')
  const decoded = textOf(bytes)
  if (decoded === undefined || !isLikeJson(decoded)) return undefined
  const changed = change(decoded)
  if (changed === undefined || changed === decoded) return changed && text
  return Buffer.from(changed).toString('base64')
}

const isLikeJson = (text: string): boolean => /^\s*[[{]/.test(text)

const textOf = (bytes: Uint8Array): string | undefined =>
  isUtf8(bytes) ? Buffer.from(bytes).toString('utf8') : undefined

function templateTest(anyName: string): (text: string) => boolean {
  const named = new RegExp(`(?<![\\w$])(?:${anyName})(?![\\w$])`, 'i')
  return (text) => [...text.matchAll(/\$\{[^}]*\}?/g)].some(([template]) => named.test(template))
}

function lineRedaction(anyName: string): (text: string) => string {
  const value = String.raw`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;}\])]+`
  const member = new RegExp(
    `(?<![\\w$])(\\\\?["']?(?:${anyName})\\\\?["']?\\s*[:=]\\s*)(?:${value})`,
    'gi',
  )
  return (text) => text.replaceAll(member, `$1${redactedText}`)
}
