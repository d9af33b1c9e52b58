import { invalidRequest } from '../../base/errors.ts'

export interface DestinationQuery {
  readonly maxResults: number
  readonly nextToken?: string | undefined
}

export interface DestinationPage<Shown> {
  readonly destinations: readonly Shown[]
  /** Absent on the last page. */
  readonly nextToken?: string | undefined
}

/**
 * A page of destinations in the order of their ids. The token is the last id of the page, so that
 * pages neither repeat nor skip one that is there all the time.
 *
 * @throws SluiceError InvalidRequestException: the token is not one of a list
 */
export function pageOfDestinations<Stored extends { readonly uuid: string }, Shown>(
  all: readonly Stored[],
  { maxResults, nextToken: after = '' }: DestinationQuery,
  show: (stored: Stored) => Shown,
): DestinationPage<Shown> {
  if (after !== '' && !/^[0-9a-f-]{36}$/.test(after)) {
    throw invalidRequest('nextToken is not one that a list gave')
  }
  const left = all
    .filter(({ uuid }) => uuid > after)
    .toSorted((one, other) => (one.uuid < other.uuid ? -1 : 1))
  const page = left.slice(0, maxResults)
  const nextToken = left.length > page.length ? page.at(-1)?.uuid : undefined
  return { destinations: page.map(show), nextToken }
}
