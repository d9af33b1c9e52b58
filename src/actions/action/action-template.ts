import type { CompiledStatement, Scope } from '../../sql/sql.ts'
import { invalidField, orFault } from '../../base/errors.ts'
import type { SluiceError } from '../../base/errors.ts'
import { compileField } from './compile-field.ts'
import { warnOfTopics } from './warn-of-topics.ts'

/** A field of an action that takes templates. */
interface ActionTemplate {
  readonly template: string
  /** Says what is wrong with an expanded text. Absent: every text will do. */
  readonly check?: TextCheck | undefined
}

/** @returns what is wrong with the text, as the end of a sentence; undefined when it will do */
export type TextCheck = (text: string) => string | undefined

/** The templates of an action, in the shape of its payload. */
export type ActionTemplates =
  | ActionTemplate
  | undefined
  | readonly ActionTemplates[]
  | { readonly [name: string]: ActionTemplates }

/** The texts that templates expand to, in the same shape. */
export type Expanded<Templates> = Templates extends undefined
  ? undefined
  : Templates extends ActionTemplate
    ? string
    : Templates extends readonly (infer Item)[]
      ? readonly Expanded<Item>[]
      : { readonly [Name in keyof Templates]: Expanded<Templates[Name]> }

/** A template that expanded to a text which its field does not take. */
export class UnusableText extends Error {
  override readonly name = 'UnusableText'
  /** The field of the payload, such as `actions[0].s3.key`. */
  readonly field: string

  constructor(field: string, problem: string) {
    super(problem)
    this.field = field
  }
}

/** @param check what the text must be */
export function template(text: string, check?: TextCheck): ActionTemplate {
  return { template: text, check }
}

/** The same for a field that may be absent. */
export function optionalTemplate(
  text: string | undefined,
  check?: TextCheck,
): ActionTemplate | undefined {
  return text === undefined ? undefined : template(text, check)
}

/**
 * Compiles all templates of an action.
 *
 * @param place the field that holds them: `actions[0].s3`
 * @param faults gets a SqlParseException for a template, an InvalidRequestException for a constant
 *   that its field does not take
 * @returns a function that expands them for one message. It throws UnusableText
 */
export function compileTemplates<Templates extends ActionTemplates>(
  templates: Templates,
  statement: CompiledStatement,
  place: string,
  faults: SluiceError[],
): (scope: Scope) => Expanded<Templates> {
  const expand = compileNode(templates, place, { statement, faults })
  return (scope) => expand(scope) as Expanded<Templates>
}

interface Compiling {
  readonly statement: CompiledStatement
  readonly faults: SluiceError[]
}

type Expand = (scope: Scope) => unknown

function compileNode(node: ActionTemplates, field: string, compiling: Compiling): Expand {
  if (node === undefined) return () => undefined
  if (isTemplate(node)) return compileLeaf(node, field, compiling)
  if (isList(node)) {
    const items = node.map((item, index) => compileNode(item, `${field}[${index}]`, compiling))
    return (scope) => items.map((item) => item(scope))
  }
  const members = Object.entries(node).map(
    ([name, member]) => [name, compileNode(member, `${field}.${name}`, compiling)] as const,
  )
  return (scope) => Object.fromEntries(members.map(([name, expand]) => [name, expand(scope)]))
}

function compileLeaf(
  { template: text, check }: ActionTemplate,
  field: string,
  { statement, faults }: Compiling,
): Expand {
  const compiled = orFault(faults, () => compileField(text, statement, field))
  if (compiled === undefined) return () => undefined
  const { constant } = compiled
  const problem = constant === undefined ? undefined : check?.(constant)
  if (problem !== undefined) faults.push(invalidField(field, `: ${problem}`))
  if (constant !== undefined) return () => constant
  if (check) warnOfTopics(statement, compiled, field, check)
  return (scope) => {
    const expanded = compiled.expand(scope)
    const unusable = check?.(expanded)
    if (unusable !== undefined) throw new UnusableText(field, unusable)
    return expanded
  }
}

function isTemplate(node: Exclude<ActionTemplates, undefined>): node is ActionTemplate {
  return 'template' in node && typeof node.template === 'string'
}

function isList(
  node: readonly ActionTemplates[] | { readonly [name: string]: ActionTemplates },
): node is readonly ActionTemplates[] {
  return Array.isArray(node)
}
