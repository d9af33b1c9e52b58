/** A function as a mapping invokes it. */
export interface LambdaFunction {
  /**
   * Invokes it and waits for its answer; aborting gives up the waiting. Never rejects.
   *
   * @param payload JSON text
   */
  invoke(payload: string, signal: AbortSignal): Promise<InvokeOutcome>
}

export type InvokeOutcome =
  | { readonly kind: 'returned'; readonly requestId: string; readonly payload: string }
  /** It threw, timed out, exited or returned what is no JSON: it counts as an attempt. */
  | {
      readonly kind: 'failed'
      readonly requestId: string
      readonly errorType: string
      readonly errorMessage: string
    }
  /** It was not reached: it is not there, or not yet, or throttled. */
  | { readonly kind: 'notInvoked'; readonly requestId: string; readonly reason: string }
