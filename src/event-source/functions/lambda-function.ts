/** A function that a mapping can invoke. */
export interface LambdaFunction {
  /**
   * Invokes the function and waits for its response until `signal` aborts. Never rejects.
   *
   * @param payload JSON text
   */
  invoke(payload: string, signal: AbortSignal): Promise<InvokeOutcome>
}

export type InvokeOutcome =
  | { readonly kind: 'returned'; readonly requestId: string; readonly payload: string }
  /** The function threw, timed out, exited or returned no JSON; this counts as an attempt. */
  | {
      readonly kind: 'failed'
      readonly requestId: string
      readonly errorType: string
      readonly errorMessage: string
    }
  /** The function was not reached: it does not exist, is starting, or is throttled. */
  | { readonly kind: 'notInvoked'; readonly requestId: string; readonly reason: string }
