import type { Lease } from '../../../src/consumers/leases/lease.ts'

/** A lease of a shard that is read from its beginning. */
export const lease = (members: Partial<Lease>): Lease => ({
  shardId: '1',
  counter: 0,
  checkpoint: { kind: 'start', position: { type: 'TRIM_HORIZON' } },
  isFromLatest: false,
  ownerSwitches: 0,
  parentIds: [],
  childIds: [],
  ...members,
})
