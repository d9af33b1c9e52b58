import { jsonScalars, redactedText } from './redacted-json.ts'

/** What the redacted members of one message contain: texts, and numbers as they are written. */
export interface Secrets {
  /** Adds the strings and numbers in the text of a JSON value. */
  readonly addAllOf: (json: string) => void
  readonly isOne: (text: string) => boolean
  /** A text with every one of them redacted. */
  readonly without: (text: string) => string
}

/** Beyond it every text is redacted: searching a text for thousands of others takes too long. */
const secretsMax = 100
/** Shorter ones are found where a text is nothing else: `1` is part of too many texts. */
const partLengthMin = 4

/** @param isName whether a text is the name of a redacted member, which is no secret */
export function createSecrets(isName: (text: string) => boolean): Secrets {
  const secrets = new Set<string>()
  /** Finds all of them in one pass over a text: many passes would take a message too long. */
  let parts: RegExp | undefined
  let isFull = false

  const add = (secret: string) => {
    if (secret === '' || isName(secret)) return
    if (secrets.size >= secretsMax) isFull = true
    else secrets.add(secret)
    parts = undefined
  }

  return {
    addAllOf(json) {
      if (isFull) return
      // Strings and numbers alike; names of members inside are no less secret than values.
      for (const [written] of json.matchAll(jsonScalars)) {
        add(written.startsWith('"') ? (JSON.parse(written) as string) : written)
        if (isFull) return
      }
    },
    isOne: (text) => isFull || secrets.has(text),
    without(text) {
      if (secrets.size === 0) return text
      if (isFull || secrets.has(text)) return redactedText
      parts ??= anyOf([...secrets].filter(({ length }) => length >= partLengthMin))
      return text.replaceAll(parts, redactedText)
    },
  }
}

/** The longest first: one may be part of another. */
function anyOf(secrets: readonly string[]): RegExp {
  const forms = secrets.flatMap(formsOf).toSorted((left, right) => right.length - left.length)
  return new RegExp(forms.length === 0 ? '(?!)' : alternativesOf(forms), 'g')
}

/** The pattern of a regular expression that finds any of the texts as they are. */
export const alternativesOf = (texts: readonly string[]): string =>
  texts.map((text) => text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)).join('|')

/** A secret as it stands in a text, in JSON, in a URL, and as base64. */
function formsOf(secret: string): readonly string[] {
  const base64 = Buffer.from(secret).toString('base64')
  const inJson = JSON.stringify(secret).slice(1, -1)
  const forms = [secret, inJson, encoded(secret), base64, base64.replace(/=+$/, '')]
  return [...new Set(forms)]
}

/** A text with half a surrogate pair cannot stand in a URL. */
function encoded(text: string): string {
  try {
    return encodeURIComponent(text)
  } catch {
    return text
  }
}
