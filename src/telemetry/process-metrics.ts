import { collectDefaultMetrics, Registry } from 'prom-client'
import type { Counter } from 'prom-client'

/** There is one process, and in tests several engines in it. */
let registry: Registry | undefined

/**
 * The metrics of this process and of Node.js, `process_*` and `nodejs_*`, as Prometheus reads them.
 * The first call begins to watch the event loop and the garbage collector, so a process whose
 * metrics nobody reads does not pay for it.
 */
export async function processMetrics(): Promise<string> {
  if (registry === undefined) {
    registry = new Registry()
    collectDefaultMetrics({ register: registry })
    countEarlierCpuTime(registry)
  }
  return registry.metrics()
}

/** The library counts from its first call on. */
function countEarlierCpuTime(of: Registry): void {
  const { user, system } = process.cpuUsage()
  const seconds = { user: user / 1e6, system: system / 1e6 }
  const counterOf = (name: string) => of.getSingleMetric(name) as Counter
  counterOf('process_cpu_user_seconds_total').inc(seconds.user)
  counterOf('process_cpu_system_seconds_total').inc(seconds.system)
  counterOf('process_cpu_seconds_total').inc(seconds.user + seconds.system)
}
