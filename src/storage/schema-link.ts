/**
 * Takes the member `$schema` from a document that people edit: editors find the JSON Schema of the
 * file by it, and it means nothing here.
 *
 * @returns the document itself when it has no such text
 */
export function withoutSchemaLink(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json
  if (!('$schema' in json) || typeof json.$schema !== 'string') return json
  return Object.fromEntries(Object.entries(json).filter(([name]) => name !== '$schema'))
}
