import { findStringFault } from '../../actions/action/mqtt-headers.ts'
import { SluiceError, invalidRequest } from '../../base/errors.ts'

/**
 * Reads the user properties of a publish over HTTP: base64 of a JSON array of objects, each member
 * of which is a property. A name may occur more than once, in different objects.
 *
 * @param header the value of the header `name`; undefined means no properties
 * @throws SluiceError InvalidRequestException
 */
export function readUserProperties(
  header: string | undefined,
  name: string,
): readonly (readonly [string, string])[] {
  if (header === undefined) return []
  const json = parse(header, name)
  if (!Array.isArray(json)) throw invalid(name)
  return json.flatMap((item: unknown) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) throw invalid(name)
    return Object.entries(item).map(([key, value]: [string, unknown]) => {
      if (typeof value !== 'string') throw invalid(name)
      const problem = findStringFault(key) ?? findStringFault(value)
      if (problem !== undefined) throw invalidRequest(`${name}: a property ${problem}`)
      return [key, value] as const
    })
  })
}

const decoder = new TextDecoder('utf-8', { fatal: true })

function parse(header: string, name: string): unknown {
  try {
    return JSON.parse(decoder.decode(Buffer.from(header, 'base64')))
  } catch {
    throw invalid(name)
  }
}

function invalid(name: string): SluiceError {
  const form = 'base64 of a JSON array such as [{"name": "text"}, {"name": "text"}]'
  return new SluiceError('InvalidRequestException', `${name} is not ${form}`)
}
