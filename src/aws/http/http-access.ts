import type { Clock } from '../../base/clock.ts'
import type { HttpPoster } from './http-poster.ts'

/** The InfluxDB of a destination [AWS IoT API Reference, InfluxDBDestinationConfiguration]. */
export interface InfluxdbConfiguration {
  readonly endpoint: string
  readonly influxDBVersion: 'V2' | 'V3'
  /** The secret with the API token. */
  readonly secretId: string
  readonly secretType?: 'SecretString' | 'SecretBinary' | undefined
  /** The member of a secret that is a JSON object. Absent: the secret is the token. */
  readonly secretKey?: string | undefined
}

/** What the HTTP and InfluxDB actions need beyond the other senders. */
export interface HttpAccess {
  readonly poster: Pick<HttpPoster, 'post'>
  /**
   * Why nothing may be sent under a confirmation URL; undefined while its topic rule destination is
   * enabled.
   */
  readonly disabledReason: (confirmationUrl: string) => string | undefined
  /** The InfluxDB of a topic rule destination, or why nothing may be written to it. */
  readonly influxdbOf: (
    destinationArn: string,
  ) => InfluxdbConfiguration | { readonly disabledReason: string }
  readonly clock: Clock
}
