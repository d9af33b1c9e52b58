import { invalidRequest } from '../base/errors.ts'

/** What a list asks for. */
export interface PageQuery {
  readonly pageMax: number
  /** The token of the page before. */
  readonly token?: string | undefined
  /** The reverse order. */
  readonly isDescending?: boolean | undefined
}

interface NamedPage {
  readonly names: readonly string[]
  /** Undefined on the last page. */
  readonly token: string | undefined
}

/**
 * A page of names. The token is made of the last name of the page, so that pages neither repeat nor
 * skip a name that is there all the time. It is Base64, as the models of AWS demand.
 *
 * @param sorted all names in their order
 * @param isWanted names that are left out do not count
 * @throws SluiceError InvalidRequestException: no list gave this token
 */
export function pageOfNames(
  sorted: readonly string[],
  { pageMax, token, isDescending = false }: PageQuery,
  isWanted: (name: string) => boolean = () => true,
): NamedPage {
  const after = token === undefined || token === '' ? undefined : nameOfToken(token)
  const names: string[] = []
  for (let index = 0; index < sorted.length; index++) {
    const name = sorted[isDescending ? sorted.length - 1 - index : index] ?? ''
    const isPast = after === undefined || (isDescending ? name < after : name > after)
    if (!isPast || !isWanted(name)) continue
    const last = names.at(-1)
    if (last !== undefined && names.length >= pageMax) return { names, token: tokenOf(last) }
    names.push(name)
  }
  return { names, token: undefined }
}

const tokenPrefix = 'after:'

const tokenOf = (name: string) => Buffer.from(`${tokenPrefix}${name}`).toString('base64')

function nameOfToken(token: string): string {
  const text = Buffer.from(token, 'base64').toString()
  const name = text.slice(tokenPrefix.length)
  if (text.startsWith(tokenPrefix) && tokenOf(name) === token) return name
  throw invalidRequest('the token of the page is not one that a list gave')
}
