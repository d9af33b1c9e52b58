import type { Clock } from '../../base/clock.ts'
import type { FunctionThread } from './function-thread.ts'

/** The instances of one function: each has one invocation at a time, and is kept for the next. */
interface InstancePool<Module extends { readonly version: string }> {
  /** An idle instance of this version, or a new one; waits while there are too many. */
  acquire(module: Module): Promise<Instance>
  /** @param isUsable whether it can take another invocation; else it is ended */
  release(instance: Instance, isUsable: boolean): Promise<void>
  end(instance: Instance): Promise<void>
  /** Ends all, also those that are busy. */
  close(): Promise<void>
}

interface Instance {
  readonly thread: FunctionThread
  readonly version: string
}

/** Of one function at a time. */
const instancesMax = 10
const idleMsMax = 300_000

export function createInstancePool<Module extends { readonly version: string }>(
  clock: Clock,
  start: (module: Module) => FunctionThread,
): InstancePool<Module> {
  const all = new Set<Instance>()
  /** With what cancels the end of their idle time. */
  const idle = new Map<Instance, () => void>()
  /** As many as there are lanes. */
  const waiting: (() => void)[] = []

  function take(instance: Instance): Instance {
    idle.get(instance)?.()
    idle.delete(instance)
    return instance
  }

  async function end(instance: Instance): Promise<void> {
    all.delete(take(instance))
    await instance.thread.end()
  }

  async function acquire(module: Module): Promise<Instance> {
    for (const instance of idle.keys()) {
      if (instance.version === module.version) return take(instance)
      await end(instance)
    }
    if (all.size < instancesMax) {
      const instance = { thread: start(module), version: module.version }
      all.add(instance)
      return instance
    }
    await new Promise<void>((resolve) => waiting.push(resolve))
    return acquire(module)
  }

  return {
    acquire,
    async release(instance, isUsable) {
      if (isUsable && all.has(instance)) {
        idle.set(
          instance,
          clock.after(idleMsMax, () => void end(instance)),
        )
      } else await end(instance)
      waiting.shift()?.()
    },
    end,
    async close() {
      await Promise.all([...all].map(end))
    },
  }
}
