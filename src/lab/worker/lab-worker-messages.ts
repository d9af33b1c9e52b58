import type { ErrorCode } from '../../base/errors.ts'
import type { LabServerOptions } from '../server/lab-server.ts'

/** What the thread of the lab is started with: the options that can pass between threads. */
export type LabWorkerData = Omit<
  LabServerOptions,
  'clock' | 'logger' | 'onCall' | 'callsMax' | 'faultSeed'
>

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
