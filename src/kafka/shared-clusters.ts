import type { LookupFunction } from 'node:net'
import type { Clock } from '../base/clock.ts'
import type { CallExternal } from '../sql/externals/external-request.ts'
import type { ClientProperties } from './client-properties.ts'
import type { Cluster } from './cluster.ts'
import { completeProperties } from './complete-properties.ts'
import { KafkaProblem } from './kafka-problem.ts'

/** A cluster with its users. */
interface SharedCluster {
  /** Rejects when its properties are of no use, or a secret of them cannot be read. */
  readonly cluster: Promise<Cluster>
}

/** The clusters that destinations share: one for each set of client properties. */
interface SharedClusters {
  /**
   * Opens the cluster unless it is open. Each call is one use, and a `release` ends it.
   *
   * @param key the properties as a text
   */
  take(key: string, properties: ClientProperties): SharedCluster
  release(key: string, taken: SharedCluster): void
  /** The next call opens another one, with secrets that are read anew. */
  forget(key: string, taken: SharedCluster): void
  /** Closes all connections. */
  close(): void
}

export interface SharedClustersDependencies {
  /** Answers `get_secret` of the properties. */
  readonly readSecret: CallExternal
  readonly clock: Clock
  /** Resolves the names of brokers, also of those that a cluster names. */
  readonly lookup: LookupFunction
}

/** Connections without a call are closed after this time, and the secrets are forgotten. */
const idleMs = 60_000
/** Clusters without a call that are kept open. */
const idleClustersMax = 32

interface Entry extends SharedCluster {
  uses: number
  cancelClosing: (() => void) | undefined
}

export function createSharedClusters({
  readSecret,
  ...dependencies
}: SharedClustersDependencies): SharedClusters {
  const entries = new Map<string, Entry>()
  const ending = new AbortController()

  async function open(properties: ClientProperties): Promise<Cluster> {
    if (ending.signal.aborted) throw new KafkaProblem('AbortError', 'the clusters are closed')
    // The library is loaded by the first record.
    const [{ createCluster }, { clusterOptionsOf }, complete] = await Promise.all([
      import('./cluster.ts'),
      import('./cluster-options.ts'),
      completeProperties(properties, readSecret, ending.signal),
    ])
    return createCluster(dependencies, clusterOptionsOf(complete))
  }

  function forget(key: string, taken: SharedCluster): void {
    if (entries.get(key) === taken) entries.delete(key)
  }

  function drop(key: string, entry: Entry): void {
    forget(key, entry)
    entry.cancelClosing?.()
    entry.cluster.then(
      (cluster) => cluster.close(),
      () => undefined,
    )
  }

  return {
    take(key, properties) {
      const entry = entries.get(key) ?? {
        cluster: open(properties),
        uses: 0,
        cancelClosing: undefined,
      }
      entry.uses += 1
      entry.cancelClosing?.()
      // Moved to the end: the first of them is the one that was used least recently.
      entries.delete(key)
      entries.set(key, entry)
      return entry
    },
    release(key, taken) {
      // `take` has made it.
      const entry = taken as Entry
      entry.uses -= 1
      if (entry.uses > 0) return
      if (entries.get(key) !== entry) {
        drop(key, entry)
        return
      }
      entry.cancelClosing = dependencies.clock.after(idleMs, () => drop(key, entry))
      const idle = [...entries].filter(([, { uses }]) => uses === 0)
      if (idle.length > idleClustersMax && idle[0] !== undefined) drop(...idle[0])
    },
    forget,
    close() {
      ending.abort()
      for (const [key, entry] of entries) drop(key, entry)
    },
  }
}
