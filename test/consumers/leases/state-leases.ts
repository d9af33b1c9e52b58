import { openClusterState } from '../../../src/cluster/state/cluster-state.ts'
import { openStateLeaseTable } from '../../../src/consumers/leases/state-lease-table.ts'
import { leaseOfText } from '../../../src/consumers/leases/lease-text.ts'
import type { Lease } from '../../../src/consumers/leases/lease.ts'
import { createMemoryStore } from '../../cluster/state/memory-state.ts'
import type { CreateLeases } from './simulated-workers.ts'

/** How long a watch takes to tell of a change. */
const watchDelayMs = 40

/** Leases in the state of a cluster, in memory; each worker is a node of its own. */
export const createStateLeases: CreateLeases = (onReplaced, clock) => {
  const store = createMemoryStore(clock)
  const silent = { info: () => undefined, warn: () => undefined }
  const leases = () =>
    new Map(
      [...store.entries.values()].flatMap(({ value }): [string, Lease][] => {
        const stored = leaseOfText(value.toString())
        return stored ? [[stored.lease.shardId, stored.lease]] : []
      }),
    )
  return {
    leases,
    storeFor: (call) => ({
      async openLeases(scope) {
        const connection = store.connect()
        const state = await openClusterState(
          { state: connection, clock, logger: silent },
          {
            place: 'cluster test',
          },
        )
        connection.faults.watchDelayMs = watchDelayMs
        const options = { scope, place: state.place, close: () => state.close() }
        const table = await openStateLeaseTable(state, options)
        return {
          ...table,
          list: () => call(() => table.list()),
          get: (shardId) => call(() => table.get(shardId)),
          create: (lease) => call(() => table.create(lease)),
          remove: (lease) => call(() => table.remove(lease)),
          replace: (before, after) =>
            call(async () => {
              const stored = leases().get(before.shardId)
              const isReplaced = await table.replace(before, after)
              if (isReplaced && stored) onReplaced(stored, after)
              return isReplaced
            }),
        }
      },
    }),
  }
}
