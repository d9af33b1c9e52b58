import { textOf } from './json-values.ts'
import { placeholderFor } from './resource-kinds.ts'
import type { JsonObject, Skipped, StackOptions, Unresolved } from './stack.ts'
import { invalid } from './template-file.ts'

/** A template of CloudFormation with the nested ones that it names. */
export interface Template {
  readonly file: string
  /** Paths in the template are relative to this folder. */
  readonly folder: string
  readonly body: JsonObject
  readonly resources: Readonly<Record<string, JsonObject>>
  /** By the logical id of the nested stack. */
  readonly nested: ReadonlyMap<string, Template>
}

/** What the evaluation of one template sees. */
export interface Scope {
  readonly template: Template
  readonly stackName: string
  /** Values that the outer stack gives to the parameters. */
  readonly given: ReadonlyMap<string, unknown>
  readonly nested: Map<string, Scope>
  readonly context: StackContext
  /** Results of what can be referred to, and what is being computed. */
  readonly known: Map<string, unknown>
  readonly pending: Set<string>
}

/** What all templates of a stack, or of a CDK application, share. */
export interface StackContext {
  /** evaluate.ts; what it calls finds it here. */
  readonly evaluate: Evaluate
  readonly options: StackOptions
  readonly unresolved: Map<string, Unresolved>
  readonly skipped: Skipped[]
  /** How many resources of each type are not read. */
  readonly notRead: Map<string, number>
  /** Folders of the assets of CDK, by the key that they have in S3. */
  readonly assets: Map<string, string>
  /** All scopes, for `Fn::ImportValue`. */
  readonly scopes: Scope[]
  work: number
  depth: number
  /** Values that loops have made. */
  looped: number
}

type Evaluate = (scope: Scope, node: unknown, where: Where) => unknown

/** Where a value stands. */
export interface Where {
  readonly resource: string
  readonly member: string
}

/** Values that may be evaluated for one stack. */
const workMax = 2_000_000
const depthMax = 200
/** A payload of a rule has at most 128 KiB. */
const textLengthMax = 262_144

export function createContext(options: StackOptions, evaluate: Evaluate): StackContext {
  return {
    evaluate,
    options,
    unresolved: new Map(),
    skipped: [],
    notRead: new Map(),
    assets: new Map(),
    scopes: [],
    work: 0,
    depth: 0,
    looped: 0,
  }
}

/** Whether the template asks for a transform of this name. */
export function hasTransform({ template }: Scope, name: string): boolean {
  return [template.body['Transform']].flat().includes(name)
}

/** Computes what has a name once. @throws SluiceError TemplateInvalid: it refers to itself */
export function once<Value>(scope: Scope, key: string, compute: () => Value): Value {
  if (scope.known.has(key)) return scope.known.get(key) as Value
  const { pending, template } = scope
  if (pending.has(key)) {
    const all = [...pending]
    const circle = [...all.slice(all.indexOf(key)), key]
    const shown = circle.length <= 8 ? circle : [...circle.slice(0, 7), '...', key]
    throw invalid(template.file, `a circular reference: ${shown.join(' -> ')}`)
  }
  pending.add(key)
  try {
    const value = compute()
    scope.known.set(key, value)
    return value
  } finally {
    pending.delete(key)
  }
}

/** Bounds the work and the depth of an evaluation. */
export function step<Value>({ context, template }: Scope, compute: () => Value): Value {
  context.work += 1
  if (context.work > workMax) throw invalid(template.file, `more than ${workMax} values to compute`)
  if (context.depth >= depthMax) {
    throw invalid(template.file, `values that are nested deeper than ${depthMax} levels`)
  }
  context.depth += 1
  try {
    return compute()
  } finally {
    context.depth -= 1
  }
}

/** Before a text is made of parts, so that parts which double cannot fill the memory. */
export function checkLength(scope: Scope, length: number, { resource, member }: Where): void {
  if (length <= textLengthMax) return
  throw invalid(
    scope.template.file,
    `${resource}: ${member} has more than ${textLengthMax} characters`,
  )
}

/**
 * Takes the value that the caller gave for `answer`, else lists it.
 *
 * @returns the given value or a placeholder
 */
export function ask(scope: Scope, where: Where, reason: string, answer: string): string {
  const { options } = scope.context
  const given = options.parameters.get(answer)
  if (given !== undefined) return given
  const placeholder = placeholderFor(where.member, answer, options)
  report(scope, where, { reason, answer, placeholder })
  return placeholder
}

/** Lists what has no value, once for each place. */
export function report(
  { template, context }: Scope,
  { resource, member }: Where,
  found: Pick<Unresolved, 'reason' | 'answer' | 'placeholder'>,
): void {
  const entry: Unresolved = { file: template.file, resource, member, ...found }
  context.unresolved.set(JSON.stringify([entry.file, resource, member, found.reason]), entry)
}

export function countNotRead({ notRead }: StackContext, type: string): void {
  notRead.set(type, (notRead.get(type) ?? 0) + 1)
}

export function skip({ template, context }: Scope, resource: string, reason: string): void {
  context.skipped.push({ file: template.file, resource, reason })
}

/** The value as text; a placeholder stands for what is none. */
export function evaluateText(scope: Scope, node: unknown, where: Where): string {
  const value = scope.context.evaluate(scope, node, where)
  const text = value === undefined ? '' : textOf(value)
  return text ?? ask(scope, where, 'the value is no text', `${where.resource}.${where.member}`)
}
