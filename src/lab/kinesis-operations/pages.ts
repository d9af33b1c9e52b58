import { ServiceError, invalidArgument } from '../wire/service-error.ts'
import { isObject } from '../wire/validation.ts'
import type { OperationContext } from './operation.ts'

/** Where a listing continues: the content of a NextToken. */
interface Page {
  /** The last name or id of the page before. */
  readonly after: string
  /** The time of creation of the stream, which identifies it. */
  readonly streamCreatedMs?: number
  /** For ListShards: the filter of the first page. */
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
  // This server sealed it from a Page.
  return content as unknown as Page
}
