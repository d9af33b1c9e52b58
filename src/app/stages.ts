import type { Clock } from '../base/clock.ts'

/** The time that all stages share to stop, so that the process ends in time. */
export interface Drain {
  start(): void
  leftMs(): number
}

export function createDrain(clock: Clock, drainMs: number): Drain {
  let endsAtMs: number | undefined
  return {
    start() {
      endsAtMs = clock.monotonicMs() + drainMs
    },
    leftMs: () => (endsAtMs === undefined ? drainMs : Math.max(0, endsAtMs - clock.monotonicMs())),
  }
}

export interface Stages {
  /** Remembers how to stop a stage, and returns the stage. */
  add<Stage>(stage: Stage, stop: (stage: Stage) => void | Promise<void>): Stage
  /**
   * Stops all stages, the last one first. A stage that fails to stop does not keep others from
   * stopping: the first failure is thrown at the end.
   */
  stop(): Promise<void>
}

export function createStages(): Stages {
  const stops: (() => void | Promise<void>)[] = []
  return {
    add(stage, stop) {
      stops.push(() => stop(stage))
      return stage
    },
    async stop() {
      const failures: unknown[] = []
      for (const stop of stops.splice(0).toReversed()) {
        try {
          await stop()
        } catch (thrown) {
          failures.push(thrown)
        }
      }
      if (failures.length > 0) throw failures[0]
    },
  }
}
