import { onTestFinished } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import type { Clock } from '../../../src/base/clock.ts'
import { openClusterState } from '../../../src/cluster/state/cluster-state.ts'
import type { ClusterState } from '../../../src/cluster/state/cluster-state.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { createMemoryStore } from './memory-state.ts'
import type { ConnectionFaults, MemoryStore } from './memory-state.ts'

export interface TestNode {
  readonly state: ClusterState
  readonly faults: ConnectionFaults
  readonly logged: string[]
}

export interface TestCluster {
  readonly store: MemoryStore
  /** Another node of the same cluster; it ends with the test. */
  join(): Promise<TestNode>
}

/** A cluster whose nodes share a store in memory. */
export function createTestCluster(clock: Clock = systemClock): TestCluster {
  const store = createMemoryStore(clock)
  return {
    store,
    async join() {
      const connection = store.connect()
      const logged: string[] = []
      const logger = createMemoryLogger((line) => logged.push(String(line['msg'])))
      const state = await openClusterState(
        { state: connection, clock, logger },
        { place: 'cluster test' },
      )
      onTestFinished(() => state.close())
      return { state, faults: connection.faults, logged }
    },
  }
}

/** Lets everything happen that waits for no clock. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
