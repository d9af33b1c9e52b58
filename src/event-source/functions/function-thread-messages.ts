/** What the thread of a function is told at its start. */
export interface FunctionThreadData {
  /** File URL of the module that exports `handler`. */
  readonly moduleUrl: string
  readonly functionName: string
  readonly functionArn: string
  readonly memoryMiB: number
}

/** One invocation. The thread gets the next one when it has answered. */
export interface FunctionCall {
  readonly requestId: string
  /** JSON text of the event. */
  readonly payload: string
  /** How much time it has. */
  readonly timeoutMs: number
}

export type FunctionReport =
  /** The module is loaded. */
  | { readonly kind: 'ready' }
  /** JSON text of what the handler returned. */
  | { readonly kind: 'returned'; readonly payload: string }
  | { readonly kind: 'failed'; readonly errorType: string; readonly errorMessage: string }
