import type { ErrorCode } from '../../base/errors.ts'
import type { LabInspection } from '../server/lab-inspection.ts'
import type { LabServerOptions } from '../server/lab-server.ts'

/** The start data of the lab's thread: the options that can be sent to a thread. */
export type LabWorkerData = Omit<
  LabServerOptions,
  'clock' | 'logger' | 'onCall' | 'callsMax' | 'faultSeed'
>

/** To the thread. */
export type LabCommand =
  | { readonly kind: 'ensureStream'; readonly id: number; readonly stream: string }
  | {
      readonly kind: 'setShardCount'
      readonly id: number
      readonly stream: string
      readonly shardCount: number
    }
  | {
      readonly kind: 'inspect'
      readonly id: number
      readonly question: keyof LabInspection
      readonly given: readonly unknown[]
    }
  | { readonly kind: 'close'; readonly id: number }

/** From the thread. */
export type LabReport =
  | { readonly kind: 'ready'; readonly port: number }
  | { readonly kind: 'failed'; readonly failure: LabFailure }
  | ({ readonly kind: 'done'; readonly id: number } & Partial<LabAnswer>)
  | { readonly kind: 'log'; readonly line: Readonly<Record<string, unknown>> }

/** What a command gave: a failure, or an answer to a question. */
export interface LabAnswer {
  readonly failure: LabFailure
  readonly answer: unknown
}

/** An error in a form that can be sent between threads; `code` is one of the catalogue. */
export interface LabFailure {
  readonly code?: ErrorCode
  readonly message: string
}
