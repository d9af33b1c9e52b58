import type { ErrorCode } from '../errors.ts'

/** What the thread of the lab is started with. */
export interface LabWorkerData {
  readonly host: string
  readonly port: number
  readonly region: string
  readonly accountId: string
  readonly shardCount?: number
  readonly createsMissingStreams?: boolean
  readonly storedBytesMax?: number
}

/** To the thread. */
export type LabCommand =
  | { readonly kind: 'ensureStream'; readonly id: number; readonly name: string }
  | { readonly kind: 'close'; readonly id: number }

/** From the thread. */
export type LabReport =
  | { readonly kind: 'ready'; readonly port: number }
  | { readonly kind: 'failed'; readonly failure: LabFailure }
  | { readonly kind: 'done'; readonly id: number; readonly failure?: LabFailure }
  | { readonly kind: 'log'; readonly line: Readonly<Record<string, unknown>> }

/** An error in a form that passes between threads; `code` absent: none of the catalogue's. */
export interface LabFailure {
  readonly code?: ErrorCode
  readonly message: string
}
