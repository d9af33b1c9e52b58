/**
 * How a consumer reaches Kinesis, and with which credentials. Programs that import Sluice see these
 * types and not those of the AWS SDK, which is inside the package's bundle.
 */
export interface KinesisAccess {
  readonly region?: string
  /** Default: AWS, or the endpoint that the SDK's own environment variables name. */
  readonly endpoint?: string
  /** A function is called again when the credentials expire. Default: the SDK's chain. */
  readonly credentials?: KinesisCredentials | (() => Promise<KinesisCredentials>)
}

/** An AWS access key; one with a session token is temporary. */
export interface KinesisCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  readonly expiration?: Date
}
