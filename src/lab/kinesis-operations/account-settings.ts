import type { Clock } from '../../base/clock.ts'
import { defined } from '../../base/defined.ts'
import { oneOf, required, structure } from '../wire/validation.ts'
import type { WireFormat } from '../wire/wire-format.ts'
import { operation } from './operation.ts'

/**
 * The settings of the account: the commitment to pay for a minimum of throughput, on which warm
 * throughput depends. The lab bills nothing. A commitment lasts at least a day: one that is
 * disabled earlier ends then (API Reference, UpdateAccountSettings).
 */
export interface AccountSettings {
  /** Whether the commitment holds now. */
  isCommitted(): boolean
  enable(): void
  disable(): void
  /** The commitment in the form of the API. */
  describe(wire: WireFormat): object
}

const commitmentMinMs = 24 * 3_600_000

interface Commitment {
  /** Epoch milliseconds. */
  readonly startedMs: number
  /** By the monotonic clock. */
  readonly startedSinceMs: number
  /** Whether it ends as soon as it may. */
  isEnding: boolean
}

export function createAccountSettings(clock: Clock): AccountSettings {
  let commitment: Commitment | undefined
  let ended: { readonly startedMs: number; readonly endedMs: number } | undefined

  const end = ({ startedMs }: Commitment, endedMs: number): void => {
    ended = { startedMs, endedMs }
    commitment = undefined
  }
  /** The commitment that holds now. */
  const current = (): Commitment | undefined => {
    if (!commitment?.isEnding) return commitment
    const leftMs = commitment.startedSinceMs + commitmentMinMs - clock.monotonicMs()
    if (leftMs <= 0) end(commitment, clock.wallMs() + leftMs)
    return commitment
  }
  return {
    isCommitted: () => current() !== undefined,
    enable() {
      const holding = current()
      if (holding) {
        holding.isEnding = false
        return
      }
      const [startedMs, startedSinceMs] = [clock.wallMs(), clock.monotonicMs()]
      commitment = { startedMs, startedSinceMs, isEnding: false }
    },
    disable() {
      const holding = current()
      if (holding) holding.isEnding = true
      // One that has lasted long enough ends at once.
      current()
    },
    describe(wire) {
      const holding = current()
      const startedMs = (holding ?? ended)?.startedMs
      const status = holding?.isEnding ? 'ENABLED_UNTIL_EARLIEST_ALLOWED_END' : 'ENABLED'
      const time = (ms: number | undefined) => (ms === undefined ? undefined : wire.time(ms))
      return {
        Status: holding ? status : 'DISABLED',
        ...defined({
          StartedAt: time(startedMs),
          EndedAt: holding ? undefined : time(ended?.endedMs),
          EarliestAllowedEndAt: holding ? time(holding.startedMs + commitmentMinMs) : undefined,
        }),
      }
    },
  }
}

export const describeAccountSettings = operation(
  'DescribeAccountSettings',
  structure({}),
  ({ account }, _input, { wire }) => ({
    MinimumThroughputBillingCommitment: account.describe(wire),
  }),
)

export const updateAccountSettings = operation(
  'UpdateAccountSettings',
  structure({
    MinimumThroughputBillingCommitment: required(
      structure({ Status: required(oneOf(['ENABLED', 'DISABLED'])) }),
    ),
  }),
  ({ account }, input, { wire }) => {
    if (input.MinimumThroughputBillingCommitment.Status === 'ENABLED') account.enable()
    else account.disable()
    return { MinimumThroughputBillingCommitment: account.describe(wire) }
  },
)
