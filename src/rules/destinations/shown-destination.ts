import type { InfluxdbConfiguration } from '../../aws/http/http-access.ts'
import type { Clock } from '../../base/clock.ts'
import { isInfluxdb } from './destination-files.ts'
import type {
  StoredDestination,
  StoredHttpDestination,
  StoredInfluxdbDestination,
} from './destination-files.ts'

/** AWS IoT API Reference, TopicRuleDestination. */
export type TopicRuleDestination = HttpDestination | InfluxdbDestination

export interface HttpDestination extends ShownDestination {
  readonly confirmationUrl: string
}

export interface InfluxdbDestination extends ShownDestination {
  readonly influxdb: InfluxdbConfiguration
}

interface ShownDestination {
  readonly arn: string
  readonly status: DestinationStatus
  /** Epoch milliseconds. */
  readonly createdMs: number
  readonly updatedMs: number
  readonly statusReason: string | undefined
}

export type DestinationStatus = 'ENABLED' | 'DISABLED' | 'IN_PROGRESS' | 'ERROR'

/** How destinations look to callers. */
export interface DestinationView {
  readonly arnOfStored: (stored: StoredDestination) => string
  shownOf(stored: StoredHttpDestination): HttpDestination
  shownOf(stored: StoredInfluxdbDestination): InfluxdbDestination
  shownOf(stored: StoredDestination): TopicRuleDestination
}

/** @param dependencies `arnOf`: the ARN of a destination, by `http/<UUID>` */
export function createDestinationView({
  clock,
  arnOf,
}: {
  readonly clock: Clock
  readonly arnOf: (resource: string) => string
}): DestinationView {
  const arnOfStored = (stored: StoredDestination) =>
    arnOf(`${isInfluxdb(stored) ? 'influxdb' : 'http'}/${stored.uuid}`)

  function shownOf(stored: StoredHttpDestination): HttpDestination
  function shownOf(stored: StoredInfluxdbDestination): InfluxdbDestination
  function shownOf(stored: StoredDestination): TopicRuleDestination
  function shownOf(stored: StoredDestination): TopicRuleDestination {
    const { createdMs, updatedMs, status, statusReason } = stored
    const shared = { arn: arnOfStored(stored), createdMs, updatedMs }
    if (isInfluxdb(stored)) return { ...shared, influxdb: stored.influxdb, status, statusReason }
    const { confirmationUrl } = stored
    return isLate(stored, clock)
      ? {
          ...shared,
          confirmationUrl,
          status: 'ERROR',
          statusReason: 'The confirmation timed out.',
        }
      : { ...shared, confirmationUrl, status, statusReason }
  }

  return { arnOfStored, shownOf }
}

/** Why a destination takes no records. */
export function disabledText(
  { arn, status, statusReason = '' }: ShownDestination,
  url: string,
): string {
  return `the topic rule destination ${arn} of ${url} is ${status}. ${statusReason}`.trim()
}

/** Whether a confirmation that is waited for comes too late from now on. */
export function isLate({ status, tokenExpiresMs }: StoredHttpDestination, clock: Clock): boolean {
  return status === 'IN_PROGRESS' && clock.wallMs() >= tokenExpiresMs
}
