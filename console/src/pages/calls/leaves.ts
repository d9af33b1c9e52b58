/** One parameter of a call, with its path: `Records[0].Data`. */
export type Leaf = { readonly path: string } & (
  | { readonly kind: 'short' | 'body'; readonly text: string }
  | { readonly kind: 'bytes'; readonly base64: string }
)

const shortCharactersMax = 200

/** The parameters without objects and lists around them, at most `max`. */
export function leavesOf(parameters: unknown, max: number): readonly Leaf[] {
  const leaves: Leaf[] = []
  const visit = (value: unknown, path: string): void => {
    if (leaves.length >= max) return
    const base64 = bytesIn(value)
    if (base64 !== undefined) {
      leaves.push({ path, kind: 'bytes', base64 })
    } else if (Array.isArray(value) && value.length > 0) {
      for (const [index, item] of value.entries()) visit(item, `${path}[${index}]`)
    } else if (isObject(value) && Object.keys(value).length > 0) {
      const prefix = path === '' ? '' : `${path}.`
      for (const [name, member] of Object.entries(value)) visit(member, prefix + name)
    } else if (path !== '') {
      const text = typeof value === 'string' ? value : JSON.stringify(value)
      leaves.push({ path, kind: isBody(text) ? 'body' : 'short', text })
    }
  }
  visit(parameters, '')
  return leaves
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

/** Bytes that are no UTF-8 stand as `{"base64": "..."}` in the answer of the engine. */
function bytesIn(value: unknown): string | undefined {
  if (!isObject(value) || Object.keys(value).length !== 1) return undefined
  const { base64 } = value
  return typeof base64 === 'string' && base64Pattern.test(base64) ? base64 : undefined
}

const base64Pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Whether a text is worth its own lines: it is long, has lines, or is an object of JSON. */
function isBody(text: string): boolean {
  return text.length > shortCharactersMax || text.includes('\n') || /^\s*(?:\{.|\[.)/s.test(text)
}
