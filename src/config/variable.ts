import { SluiceError } from '../base/errors.ts'

/**
 * Environment variables as plain data, and the one function that reads them. The types follow from
 * the data: a variable with a default always has a value, one without a default may be undefined.
 */
export type Variable =
  | Described<'text', string>
  | (Described<'integer', number> & { readonly range: Range })
  | (Described<'choice', string> & { readonly choices: readonly string[] })
  | (Described<'pattern', string> & {
      readonly pattern: RegExp
      /** The pattern in words that continue "it must be". */
      readonly form: string
    })

interface Described<Kind extends string, Value extends string | number> {
  readonly kind: Kind
  readonly default?: Value | undefined
  /** What holds without a value, in Markdown, for variables that have no fixed default. */
  readonly whenUnset?: string | undefined
  /** One sentence in Markdown. */
  readonly description: string
  /** The value is never quoted in messages. */
  readonly isSecret?: true | undefined
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

/** The values of a table: `{A: {kind: 'integer', ...}}` becomes `{A: number | undefined}`. */
export type ValuesOf<Table extends VariableTable> = {
  readonly [Name in keyof Table]: Table[Name] extends { readonly default: string | number }
    ? ValueOf<Table[Name]>
    : ValueOf<Table[Name]> | undefined
}

/** The shape of `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the variables of a table. A variable with an empty value counts as not set.
 *
 * @param names the variables to read; all of the table when absent
 * @throws SluiceError ConfigInvalid for the first unusable value: it names the variable, the value
 *   and the values that the variable accepts
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

/** @returns undefined when the variable does not accept the text */
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
  // Number() alone would accept 1e3, 0x10 and blanks.
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  return value >= minimum && value <= maximum ? value : undefined
}

/** The accepted values in words that continue "it must be". */
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
