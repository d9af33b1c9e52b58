/** Limits how many tasks run at a time; the others wait in order. */
interface Slots {
  /** Resolves or rejects as the task does. The caller bounds how many tasks wait. */
  run<Result>(task: () => Promise<Result>): Promise<Result>
}

export function createSlots(count: number): Slots {
  let free = count
  const waiting: (() => void)[] = []
  return {
    async run(task) {
      if (free > 0) free--
      else await new Promise<void>((resolve) => waiting.push(resolve))
      try {
        return await task()
      } finally {
        const next = waiting.shift()
        if (next) next()
        else free++
      }
    },
  }
}
