import type { Clock } from '../base/clock.ts'

/** The time that all stages together have for a stop, so that the process ends when it is due. */
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
  /** Takes note of how a stage is stopped; gives the stage back. */
  add<Stage>(stage: Stage, stop: (stage: Stage) => void | Promise<void>): Stage
  /**
   * Stops all stages, the last one first. One that cannot be stopped keeps no other from stopping;
   * the first failure is thrown when all are done.
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
