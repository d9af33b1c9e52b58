import { SluiceError } from '../base/errors.ts'

/**
 * Environment variables as plain data, and the one reader of them. Types follow from the data: a
 * variable with a default has always a value, one without may be absent.
 */
export type Variable =
  | Described<'text', string>
  | (Described<'integer', number> & { readonly range: Range })
  | (Described<'choice', string> & { readonly choices: readonly string[] })
  | (Described<'pattern', string> & {
      readonly pattern: RegExp
      /** The pattern in words, as in "it must be ...". */
      readonly form: string
    })

interface Described<Kind extends string, Value extends string | number> {
  readonly kind: Kind
  readonly default?: Value
  /** In Markdown, on one line. */
  readonly description: string
  /** Its value does not get into messages. */
  readonly isSecret?: true
}

interface Range {
  readonly minimum: number
  readonly maximum: number
}

export type VariableTable = Readonly<Record<string, Variable>>

type ValueOf<Given extends Variable> = Given extends { readonly kind: 'integer' }
  ? number
  : Given extends { readonly choices: readonly (infer Choice)[] }
    ? Choice
    : string

/** What a table reads as: `{A: {kind: 'integer', ...}}` is `{A: number | undefined}`. */
export type ValuesOf<Table extends VariableTable> = {
  readonly [Name in keyof Table]: Table[Name] extends { readonly default: string | number }
    ? ValueOf<Table[Name]>
    : ValueOf<Table[Name]> | undefined
}

/** As `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the variables of a table, or those of it that are named; an empty one counts as not set.
 *
 * @throws SluiceError ConfigInvalid, naming the first that cannot be used, its value and what it takes
 */
export function readVariables<Table extends VariableTable, Name extends string & keyof Table>(
  table: Table,
  environment: Environment,
  names?: readonly Name[],
): Pick<ValuesOf<Table>, Name> {
  const wanted = new Set<string>(names ?? Object.keys(table))
  const values = Object.entries(table)
    .filter(([name]) => wanted.has(name))
    .map(([name, variable]) => {
      const text = environment[name]
      return [name, text ? read(name, variable, text) : variable.default]
    })
  return Object.fromEntries(values) as Pick<ValuesOf<Table>, Name>
}

function read(name: string, variable: Variable, text: string): string | number {
  const value = parse(variable, text)
  if (value !== undefined) return value
  const shown = variable.isSecret ? '(not shown)' : text
  throw new SluiceError(
    'ConfigInvalid',
    `${name}=${shown} is not usable: it must be ${formOf(variable)}. ${variable.description}`,
  )
}

/** The value, or undefined when the text is none. */
function parse(variable: Variable, text: string): string | number | undefined {
  switch (variable.kind) {
    case 'text':
      return text
    case 'integer':
      return parseInteger(text, variable.range)
    case 'choice':
      return variable.choices.includes(text) ? text : undefined
    case 'pattern':
      return variable.pattern.test(text) ? text : undefined
    default:
      return variable satisfies never
  }
}

function parseInteger(text: string, { minimum, maximum }: Range): number | undefined {
  // Number() alone takes 1e3, 0x10 and blanks, too.
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  return value >= minimum && value <= maximum ? value : undefined
}

/** What it takes, as in "it must be ...". */
function formOf(variable: Variable): string {
  switch (variable.kind) {
    case 'text':
      return 'a text'
    case 'integer':
      return `an integer from ${variable.range.minimum} to ${variable.range.maximum}`
    case 'choice':
      return new Intl.ListFormat('en', { type: 'disjunction' }).format(variable.choices)
    case 'pattern':
      return variable.form
    default:
      return variable satisfies never
  }
}
