import { onTestFinished } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import type { Clock } from '../../../src/base/clock.ts'
import { openClusterState } from '../../../src/cluster/state/cluster-state.ts'
import { openClusterMappings } from '../../../src/event-source/cluster/open-cluster-mappings.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { createMemoryStore } from '../../cluster/state/memory-state.ts'
import { temporaryFolder } from '../../consumers/consumer-parts.ts'
import { startMappings } from '../mapping-parts.ts'

/** Time goes ten times as fast, also that of leases. */
export const fastClock: Clock = {
  ...systemClock,
  monotonicMs: () => systemClock.monotonicMs() * 10,
  sleep: (delayMs, signal) => systemClock.sleep(delayMs / 10, signal),
  after: (delayMs, callback) => systemClock.after(delayMs / 10, callback),
}

/** Nodes of one cluster in this process, which share a store in memory and a functions folder. */
export function createMappingCluster(
  lab: { readonly port: number },
  functions: Readonly<Record<string, string>>,
) {
  const store = createMemoryStore(systemClock)
  const leaseStore = createMemoryStore(systemClock)
  const functionsDir = temporaryFolder()
  let started = 0

  return {
    store,
    leaseStore,
    async join() {
      const node = `n${++started}`
      const logger = createMemoryLogger(() => undefined)
      const dependencies = { clock: systemClock, logger }
      const connections = [store.connect(), leaseStore.connect()] as const
      const [state, leases] = await Promise.all(
        connections.map((connection) =>
          openClusterState({ ...dependencies, state: connection }, { place: 'cluster test' }),
        ),
      )
      if (!state || !leases) throw new Error('no state')
      const run = await startMappings(lab, functions, {
        clock: fastClock,
        functionsDir,
        openMappings: async (parts) => openClusterMappings(parts, { state, leases, node }),
      })
      onTestFinished(async () => {
        await run.stop()
        state.close()
        leases.close()
      })
      return {
        ...run,
        node,
        /** From here on the node reaches nobody but the stream and its functions. */
        cutOff: () => connections.forEach(({ faults }) => faults.disconnect()),
        reconnect: () => connections.forEach(({ faults }) => faults.reconnect()),
      }
    },
  }
}

export type MappingNode = Awaited<ReturnType<ReturnType<typeof createMappingCluster>['join']>>
