/** Runs the tasks of one key one after the other, and tasks of different keys concurrently. */
export interface KeyedQueue {
  /** Resolves or rejects as the task does. The caller bounds the queue with `length`. */
  run<Result>(key: string, task: () => Promise<Result>): Promise<Result>
  /** The number of tasks of this key that run or wait. */
  length(key: string): number
  /** Resolves when no task runs or waits. */
  idle(): Promise<void>
}

export function createKeyedQueue(): KeyedQueue {
  const lines = new Map<string, { tail: Promise<unknown>; length: number }>()

  return {
    async run(key, task) {
      const line = lines.get(key) ?? { tail: Promise.resolve(), length: 0 }
      lines.set(key, line)
      line.length += 1
      const result = line.tail.then(task)
      line.tail = result.catch(() => undefined)
      try {
        return await result
      } finally {
        line.length -= 1
        if (line.length === 0) lines.delete(key)
      }
    },

    length: (key) => lines.get(key)?.length ?? 0,

    async idle() {
      while (lines.size > 0) {
        await Promise.all([...lines.values()].map((line) => line.tail))
      }
    },
  }
}
