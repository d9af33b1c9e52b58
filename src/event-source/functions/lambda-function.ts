/** A function that a mapping can invoke. */
export interface LambdaFunction {
  /**
   * Invokes the function and waits for its response until `signal` aborts. Never rejects.
   *
   * @param payload JSON text
   */
  invoke(payload: string, signal: AbortSignal, options?: InvokeOptions): Promise<InvokeOutcome>
}

export interface InvokeOptions {
  /** Whether the outcome has the end of what a local function prints. */
  readonly wantsLog?: boolean | undefined
  /** JSON text about the client, for the context of a local function. */
  readonly clientContext?: string | undefined
  /** Whether the caller has left: a call that has not begun is not begun then. */
  readonly hasLeft?: (() => boolean) | undefined
  /** Aborted when the caller leaves: a call waits for an instance no longer then. */
  readonly leaving?: AbortSignal | undefined
}

export type InvokeOutcome =
  | {
      readonly kind: 'returned'
      readonly requestId: string
      readonly payload: string
      readonly log?: string | undefined
    }
  /** The function threw, timed out, exited or returned no JSON; this counts as an attempt. */
  | {
      readonly kind: 'failed'
      readonly requestId: string
      readonly errorType: string
      readonly errorMessage: string
      readonly trace?: readonly string[] | undefined
      readonly log?: string | undefined
    }
  /** The function was not reached: it does not exist, is starting, or is throttled. */
  | { readonly kind: 'notInvoked'; readonly requestId: string; readonly reason: string }
