import { definitions } from '../../../../schemas/rule.schema.json'

/** The parts of JSON Schema that the schema of a rule uses. */
export interface FieldSchema {
  readonly type?: 'string' | 'integer' | 'boolean' | 'array' | 'object' | undefined
  readonly description?: string | undefined
  readonly enum?: readonly (string | number)[] | undefined
  readonly properties?: Readonly<Record<string, FieldSchema>> | undefined
  readonly required?: readonly string[] | undefined
  readonly patternProperties?: Readonly<Record<string, FieldSchema>> | undefined
  readonly items?: FieldSchema | undefined
  readonly pattern?: string | undefined
  readonly minimum?: number | undefined
  readonly maximum?: number | undefined
  readonly minItems?: number | undefined
}

/** An object of a document. */
export type Members = Readonly<Record<string, unknown>>

/** The schema that the engine itself checks rules with: schemas/rule.schema.json. */
const actionSchema = definitions.action as unknown as FieldSchema
const payloadSchema = definitions.payload as unknown as FieldSchema

/** The kinds of actions in alphabetical order. */
export const actionKinds: readonly string[] = Object.keys(actionSchema.properties ?? {})

export const schemaOfKind = (kind: string): FieldSchema | undefined =>
  Object.hasOwn(actionSchema.properties ?? {}, kind) ? actionSchema.properties?.[kind] : undefined

export const schemaOfSetting = (name: string): FieldSchema => payloadSchema.properties?.[name] ?? {}

export const isMembers = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The kind and the fields of an action that a form can show. */
export function readAction(
  action: unknown,
): { readonly kind: string; readonly fields: Members; readonly schema: FieldSchema } | undefined {
  if (!isMembers(action)) return undefined
  const [entry, ...others] = Object.entries(action)
  if (entry === undefined || others.length > 0) return undefined
  const [kind, fields] = entry
  const schema = schemaOfKind(kind)
  return schema && isMembers(fields) ? { kind, fields, schema } : undefined
}

/** The value of a new field: what it must have, with nothing in it. */
export function blankOf(schema: FieldSchema): unknown {
  const { type = 'string', properties = {}, required = [], items = {}, minItems = 0 } = schema
  if (schema.enum) return schema.enum[0]
  switch (type) {
    case 'object':
      return Object.fromEntries(required.map((name) => [name, blankOf(properties[name] ?? {})]))
    case 'array':
      return Array.from({ length: minItems }, () => blankOf(items))
    case 'boolean':
      return true
    case 'integer':
      return schema.minimum ?? 0
    case 'string':
    default:
      return ''
  }
}

/** A new action. It takes over the role of another one, as most rules have one role. */
export function newAction(kind: string, others: readonly unknown[]): Members {
  const fields = blankOf(schemaOfKind(kind) ?? {}) as Members
  const roleArn = others.flatMap((each) => {
    const role = readAction(each)?.fields['roleArn']
    return typeof role === 'string' && role !== '' ? [role] : []
  })[0]
  const takesRole = Object.hasOwn(fields, 'roleArn') && roleArn !== undefined
  return { [kind]: takesRole ? { ...fields, roleArn } : fields }
}

/** Members of an object, with one of them set, or left out when it is undefined. */
export function withMember(members: Members, name: string, value: unknown): Members {
  if (value !== undefined) return { ...members, [name]: value }
  const { [name]: _left, ...rest } = members
  return rest
}

/** A list with one item replaced, or left out when it is undefined. */
export const withItem = (
  items: readonly unknown[],
  index: number,
  value: unknown,
): readonly unknown[] =>
  items.flatMap((item, each) => {
    if (each !== index) return [item]
    return value === undefined ? [] : [value]
  })
