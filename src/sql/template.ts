import { SluiceError, orFault, throwFaults } from '../base/errors.ts'
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
  /**
   * Texts as topics under FROM make them, and the same with one level for each part of the topic. A
   * field that takes none of the first and one of the second can never take a topic. Empty when the
   * template has no `topic()` of its own, or the statement has no FROM.
   */
  readonly samples: readonly { readonly text: string; readonly withoutTopic: string }[]
}

type Part = string | CompiledExpression

/**
 * Compiles a template once, for any number of messages.
 *
 * @param statement the rule's statement, whose SQL version and `@variables` the template uses
 * @throws SluiceError SqlParseException, with line and column within `text`; with all faults when
 *   there are several
 */
export function compileTemplate(text: string, statement: CompiledStatement): CompiledTemplate {
  const parts = readParts(text, statement)
  if (parts.every((part) => typeof part === 'string')) {
    const constant = parts.join('')
    return { constant, expand: () => constant, samples: [] }
  }
  return {
    constant: undefined,
    expand: (scope) => expand(parts, scope),
    samples: samplesOf(parts, statement.topicFilter),
  }
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
  const faults: SluiceError[] = []
  let position = 0
  for (;;) {
    const open = text.indexOf('${', position)
    const read =
      open === -1 ? undefined : orFault(faults, () => readPart(text, open, statement, faults))
    // Behind an expression that cannot be read it is not known where the next part begins.
    if (read === undefined) {
      throwFaults(faults)
      return [...parts, text.slice(position)]
    }
    parts.push(text.slice(position, open), read.expression)
    position = read.end + 1
  }
}

/** Reads one expression, from `${` to `}`. */
function readPart(
  text: string,
  open: number,
  statement: CompiledStatement,
  faults: SluiceError[],
): { readonly expression: CompiledExpression; readonly end: number } {
  const read = statement.compileExpression(text, open + 2, faults)
  if (text[read.end] === '}') return read
  throw syntaxError(text, open, 'this "${" has no "}"')
}

/** What may stand for a wildcard of the filter, and for an expression whose value is not known. */
const levelSamples = ['name', '1', 'name-1', '1700000000']
const valueSamples = ['x', '', '1', '1700000000']

function samplesOf(
  parts: readonly Part[],
  filter: string | undefined,
): CompiledTemplate['samples'] {
  const hasTopic = parts.some((part) => typeof part !== 'string' && part.topicLevel !== undefined)
  if (filter === undefined || !hasTopic) return []
  return levelSamples.flatMap((level) => {
    // `#` stands for one level or for several.
    const topics = new Set([level, `${level}/${level}`].map((rest) => topicOf(filter, level, rest)))
    return [...topics].flatMap((topic) =>
      valueSamples.map((value) => ({
        text: sampleText(parts, value, (at) => levelText(topic, at)),
        withoutTopic: sampleText(parts, value, () => level),
      })),
    )
  })
}

function topicOf(filter: string, level: string, rest: string): string {
  const levels = filter.split('/')
  return levels.map((each) => (each === '+' ? level : each === '#' ? rest : each)).join('/')
}

function levelText(topic: string, level: number): string {
  return level === 0 ? topic : (topic.split('/')[level - 1] ?? '')
}

function sampleText(
  parts: readonly Part[],
  value: string,
  topicText: (level: number) => string,
): string {
  return parts
    .map((part) => {
      if (typeof part === 'string') return part
      return part.topicLevel === undefined ? value : topicText(part.topicLevel)
    })
    .join('')
}
