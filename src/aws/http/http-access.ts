import type { Clock } from '../../base/clock.ts'
import type { HttpPoster } from './http-poster.ts'

/** What the HTTP action needs beyond the other senders. */
export interface HttpAccess {
  readonly poster: Pick<HttpPoster, 'post'>
  /**
   * Why nothing may be sent under a confirmation URL; undefined while its topic rule destination is
   * enabled.
   */
  readonly disabledReason: (confirmationUrl: string) => string | undefined
  readonly clock: Clock
}
