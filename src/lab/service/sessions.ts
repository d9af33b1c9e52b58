/** By access key id: what AssumeRole gave out. */
export type Sessions = Map<string, Session>

export interface Session {
  readonly arn: string
  readonly userId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  /** When it expires, by the clock's `monotonicMs`. */
  readonly endsAtMs: number
}
