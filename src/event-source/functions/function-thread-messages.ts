/** The data that the thread of a function starts with. */
export interface FunctionThreadData {
  /** File URL of the module. */
  readonly moduleUrl: string
  /** The export that handles events; `a.b` is a member of an export. */
  readonly exported: string
  /** The folder whose `.js` files are CommonJS, whatever a package.json above it says. */
  readonly commonJsFolder?: string | undefined
  readonly functionName: string
  readonly functionArn: string
  readonly memoryMiB: number
}

/** One invocation. The thread receives the next one when it has answered. */
export interface FunctionCall {
  readonly requestId: string
  /** JSON text of the event. */
  readonly payload: string
  /** The time limit of the invocation. */
  readonly timeoutMs: number
  /** JSON text about the client, for the context of the handler. */
  readonly clientContext?: string | undefined
  /** Whether the report has the end of what the function printed. */
  readonly wantsLog?: boolean | undefined
}

export type FunctionReport =
  /** The module is loaded. */
  | { readonly kind: 'ready' }
  /** JSON text of the handler's result. */
  | { readonly kind: 'returned'; readonly payload: string; readonly log?: string | undefined }
  | {
      readonly kind: 'failed'
      readonly errorType: string
      readonly errorMessage: string
      /** The lines of the stack. */
      readonly trace?: readonly string[] | undefined
      readonly log?: string | undefined
    }
