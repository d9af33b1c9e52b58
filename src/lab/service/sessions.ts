/** By access key id: what AssumeRole gave out. */
export type Sessions = Map<string, Session>

export interface Session {
  readonly arn: string
  readonly userId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  /** Epoch milliseconds, a whole second. */
  readonly expiresMs: number
}
