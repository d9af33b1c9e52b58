import { SluiceError } from '../base/errors.ts'
import type { CompiledExpression, CompiledStatement, Scope } from './sql.ts'
import { syntaxError } from './parser/syntax-error.ts'
import { textLengthMax } from './values/text-limit.ts'

/**
 * Substitution templates: `device-${clientid()}` in the fields of an action. Any expression may
 * stand between `${` and `}`. It reads the original payload, not the output of SELECT (AWS IoT
 * developer guide, "Substitution templates").
 */
export interface CompiledTemplate {
  /** The text, when it is the same for every message. */
  readonly constant: string | undefined
  /**
   * The text for one message. An Undefined expression becomes the empty text.
   *
   * @throws SluiceError TemplateFailed when it is longer than `textLengthMax` UTF-16 units
   */
  expand(scope: Scope): string
}

type Part = string | CompiledExpression

/**
 * Compiles a template once, for any number of messages.
 *
 * @param statement the rule's statement, whose SQL version and `@variables` the template uses
 * @throws SluiceError SqlParseException, with line and column within `text`
 */
export function compileTemplate(text: string, statement: CompiledStatement): CompiledTemplate {
  const parts = readParts(text, statement)
  if (parts.every((part) => typeof part === 'string')) {
    const constant = parts.join('')
    return { constant, expand: () => constant }
  }
  return { constant: undefined, expand: (scope) => expand(parts, scope) }
}

/** Checks the length before each part is added, so that no text that is too long is built. */
function expand(parts: readonly Part[], scope: Scope): string {
  let text = ''
  for (const part of parts) {
    const next = typeof part === 'string' ? part : part.expandText(scope)
    if (next === undefined || text.length + next.length > textLengthMax) {
      throw new SluiceError('TemplateFailed', `the text is longer than ${textLengthMax} characters`)
    }
    text += next
  }
  return text
}

function readParts(text: string, statement: CompiledStatement): Part[] {
  const perElement = text.indexOf('@{')
  if (perElement !== -1) throw syntaxError(text, perElement, 'the form @{...} is for InfluxDB only')
  const parts: Part[] = []
  let position = 0
  for (;;) {
    const open = text.indexOf('${', position)
    if (open === -1) return [...parts, text.slice(position)]
    const { expression, end } = statement.compileExpression(text, open + 2)
    if (text[end] !== '}') throw syntaxError(text, open, 'this "${" has no "}"')
    parts.push(text.slice(position, open), expression)
    position = end + 1
  }
}
