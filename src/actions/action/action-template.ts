import type { CompiledStatement, Scope } from '../../sql/sql.ts'
import { SluiceError, invalidRequest, messageOf } from '../../base/errors.ts'
import { listOf } from '../../base/schema-problem.ts'
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
 * @returns a function that expands them for one message. It throws UnusableText
 * @throws SluiceError SqlParseException for a template, InvalidRequestException for a constant that
 *   its field does not take; with all faults when there are several
 */
export function compileTemplates<Templates extends ActionTemplates>(
  templates: Templates,
  statement: CompiledStatement,
  place: string,
): (scope: Scope) => Expanded<Templates> {
  const faults: SluiceError[] = []
  const expand = compileNode(templates, place, { statement, faults })
  throwFaults(faults)
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
  try {
    const compiled = compileField(text, statement, field)
    const { constant } = compiled
    const problem = constant === undefined ? undefined : check?.(constant)
    if (problem !== undefined) throw invalidRequest(`${field}: ${problem}`)
    if (constant !== undefined) return () => constant
    if (check) warnOfTopics(statement, compiled, field, check)
    return (scope) => {
      const expanded = compiled.expand(scope)
      const unusable = check?.(expanded)
      if (unusable !== undefined) throw new UnusableText(field, unusable)
      return expanded
    }
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    faults.push(thrown)
    return () => undefined
  }
}

/** Several faults of one rule. Its code and its details are those of the first. */
class SeveralFaults extends SluiceError {
  readonly faults: readonly SluiceError[]

  constructor(first: SluiceError, faults: readonly SluiceError[]) {
    const { code, details } = first
    super(code, listOf(faults.map(messageOf)), { cause: first, details })
    this.faults = faults
  }
}

/**
 * Throws the faults of one rule together, so that its author sees all of them at once.
 *
 * @throws SluiceError the fault itself when there is one; else one with the messages of all
 */
export function throwFaults(faults: readonly SluiceError[]): void {
  const each = faults.flatMap((fault) => (fault instanceof SeveralFaults ? fault.faults : [fault]))
  const [first] = each
  if (first === undefined) return
  throw each.length === 1 ? first : new SeveralFaults(first, each)
}

function isTemplate(node: Exclude<ActionTemplates, undefined>): node is ActionTemplate {
  return 'template' in node && typeof node.template === 'string'
}

function isList(
  node: readonly ActionTemplates[] | { readonly [name: string]: ActionTemplates },
): node is readonly ActionTemplates[] {
  return Array.isArray(node)
}
