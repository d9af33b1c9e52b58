import { call } from '../../api/engine.ts'
import { readMetrics } from '../../api/metrics.ts'

interface Health {
  readonly status: string
  readonly reasons?: readonly string[]
}

/** What is read of GetOutbox about one destination. */
export interface DestinationState {
  readonly kind: string
  readonly streamName?: string
  readonly target?: string
  readonly records: number
  readonly bytes: number
  readonly oldestAgeMs: number
  readonly delivery?: {
    readonly state: 'delivering' | 'throttled' | 'retrying' | 'refusing'
    readonly callsInFlight: number
    readonly throttledShards: number
    readonly reason?: { readonly code: string; readonly message: string }
    readonly advice?: string
    readonly refusingMs?: number
    readonly nextTryMs?: number
  }
}

export type LedgerCounts = Readonly<
  Record<'accepted' | 'delivered' | 'queued' | 'deadLettered' | 'dropped' | 'handedOver', number>
>

/** What is read of GetOutbox. */
export interface OutboxState {
  readonly records: number
  readonly bytes: number
  readonly deadLetters: { readonly records: number; readonly bytes: number }
  readonly limits: { readonly bytesMax: number }
  readonly destinations: readonly DestinationState[]
  readonly furtherDestinations: number
  readonly ledger: LedgerCounts
}

/** Counters since the start of the engine. */
export type Counted = 'received' | 'matched' | 'delivered' | 'failed'

/** The state of the engine at one moment. */
export interface Snapshot {
  /** Epoch milliseconds of this machine. */
  readonly at: number
  readonly counts: Readonly<Record<Counted, number>>
  readonly outbox: OutboxState
  readonly health: Health
}

export async function readSnapshot(signal: AbortSignal): Promise<Snapshot> {
  const [metrics, outbox, health] = await Promise.all([
    readMetrics(signal),
    call<OutboxState>({ path: '/v1/outbox', signal }),
    call<Health>({ path: '/v1/health', signal }),
  ])
  return {
    at: Date.now(),
    counts: {
      received: metrics('sluice_messages_received_total'),
      matched: metrics('sluice_rule_evaluations_total', { result: 'matched' }),
      delivered: metrics('sluice_records_delivered_total'),
      failed:
        metrics('sluice_action_failures_total') +
        metrics('sluice_records_dead_lettered_total') +
        metrics('sluice_rule_evaluations_total', { result: 'failed' }),
    },
    outbox,
    health,
  }
}

export const nameOf = ({ streamName, target }: DestinationState): string =>
  streamName ?? target ?? ''

export const isRefusing = ({ delivery }: DestinationState): boolean =>
  delivery?.state === 'refusing'
