/**
 * How Kinesis is reached, and as whom. Programs that import Sluice see these types, and have no
 * types of the AWS SDK: the package brings it in its bundle.
 */
export interface KinesisAccess {
  readonly region?: string
  /** Absent: AWS, or what the SDK's own variables say. */
  readonly endpoint?: string
  /** Or what is asked for them, again when they expire. Absent: the SDK's chain. */
  readonly credentials?: KinesisCredentials | (() => Promise<KinesisCredentials>)
}

/** An access key of AWS; with a session token a temporary one. */
export interface KinesisCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  readonly expiration?: Date
}
