import { invalidRequest } from '../../base/errors.ts'

/** How the processes of an application share its shards. */
export interface LeaseSettings {
  /**
   * A process without a sign of life for so long loses its shards, in milliseconds; at least 1,000.
   * All processes of an application need the same time. Default: 10,000, as in the KCL.
   */
  readonly failoverMs: number
  /** Shards that a process asks of the busiest one at a time. Default: 1. */
  readonly stealsMax: number
  /** Shards that a process reads, at most. Default: no limit. */
  readonly leasesMax: number
  /**
   * Milliseconds from one checkpoint of a shard to the next; the last one is not held back.
   * Default: 1,000.
   */
  readonly checkpointIntervalMs: number
}

const defaults: LeaseSettings = Object.freeze({
  failoverMs: 10_000,
  stealsMax: 1,
  leasesMax: Infinity,
  checkpointIntervalMs: 1_000,
})
const smallest: LeaseSettings = Object.freeze({
  failoverMs: 1_000,
  stealsMax: 1,
  leasesMax: 1,
  checkpointIntervalMs: 0,
})

/** @throws SluiceError InvalidRequestException: a setting is not usable */
export function leaseSettingsOf(settings: Partial<LeaseSettings> = {}): LeaseSettings {
  const all = { ...defaults, ...settings }
  for (const name of Object.keys(smallest) as (keyof LeaseSettings)[]) {
    const value = all[name]
    const isCount = Number.isInteger(value) || (name === 'leasesMax' && value === Infinity)
    if (isCount && value >= smallest[name]) continue
    throw invalidRequest(`${name}: it must be a whole number from ${smallest[name]} on`)
  }
  return all
}
