import type { Clock } from '../../base/clock.ts'
import { createWaitingLine } from '../../base/waiting-line.ts'
import type { FunctionThread } from './function-thread.ts'

/** The instances of one function: each takes one invocation at a time and stays for the next. */
interface InstancePool<Module extends { readonly version: string }> {
  /**
   * An idle instance of this version, or a new one; waits while all instances are busy.
   * @returns undefined when `signal` aborts first, or the pool is closed
   */
  acquire(module: Module, signal: AbortSignal): Promise<Instance | undefined>
  /** @param isUsable whether the instance can take another invocation; otherwise it is ended */
  release(instance: Instance, isUsable: boolean): Promise<void>
  end(instance: Instance): Promise<void>
  /** Ends all instances, busy ones too. */
  close(): Promise<void>
}

interface Instance {
  readonly thread: FunctionThread
  readonly version: string
}

/** The instances of one function that may exist at a time. */
const instancesMax = 10
const idleMsMax = 300_000

export function createInstancePool<Module extends { readonly version: string }>(
  clock: Clock,
  start: (module: Module) => FunctionThread,
): InstancePool<Module> {
  const all = new Set<Instance>()
  /** Idle instances, each with the function that cancels its idle timeout. */
  const idle = new Map<Instance, () => void>()
  /** Bounded by the number of parallel batches that invoke the function. */
  const waiting = createWaitingLine()
  let isClosed = false

  function take(instance: Instance): Instance {
    idle.get(instance)?.()
    idle.delete(instance)
    return instance
  }

  async function end(instance: Instance): Promise<void> {
    all.delete(take(instance))
    await instance.thread.end()
  }

  async function acquire(module: Module, signal: AbortSignal): Promise<Instance | undefined> {
    if (signal.aborted || isClosed) {
      // It may have been woken at the same time.
      waiting.wakeNext()
      return undefined
    }
    for (const instance of idle.keys()) {
      if (instance.version === module.version) return take(instance)
      await end(instance)
    }
    if (all.size < instancesMax) {
      const instance = { thread: start(module), version: module.version }
      all.add(instance)
      // One that ended while it was idle must not get the next invocation.
      void instance.thread.ended.then(() => all.delete(take(instance)))
      return instance
    }
    await waiting.wait(signal)
    return acquire(module, signal)
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
      waiting.wakeNext()
    },
    end,
    async close() {
      isClosed = true
      waiting.wakeNext()
      await Promise.all([...all].map(end))
    },
  }
}
