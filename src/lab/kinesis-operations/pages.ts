import { ServiceError, invalidArgument } from '../wire/service-error.ts'
import { isObject } from '../wire/validation.ts'
import type { OperationContext } from './operation.ts'

/** Where a listing goes on: what a NextToken holds. */
interface Page {
  /** The name or id that the next page begins behind. */
  readonly after: string
  readonly streamName?: string
  /** Of ListShards: what the first page was filtered by. */
  readonly filter?: Readonly<Record<string, unknown>> | undefined
}

type Listing = 'listStreams' | 'listShards' | 'listStreamConsumers'

/** A NextToken can be used for five minutes (API Reference, ListShards). */
const tokenLifetimeMs = 300_000

export const sealPage = (context: OperationContext, kind: Listing, page: Page) =>
  context.tokens.seal({ ...page, kind })

/** @throws ServiceError InvalidArgumentException, ExpiredNextTokenException */
export function openPage(context: OperationContext, kind: Listing, token: string): Page {
  const { content, ageMs = 0 } = context.tokens.open(token) ?? {}
  if (!isObject(content) || content['kind'] !== kind) throw invalidArgument('Invalid NextToken.')
  if (ageMs > tokenLifetimeMs) {
    throw new ServiceError(
      'ExpiredNextTokenException',
      `NextToken expired. It was made ${ageMs} ms ago and can be used for ${tokenLifetimeMs} ms.`,
    )
  }
  // Sealed by this server from a Page.
  return content as unknown as Page
}
