import type { Clock } from '../base/clock.ts'
import { unlessAborted } from '../base/unless-aborted.ts'

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
  add<Stage>(stage: Stage, stop: Stop<Stage>): Stage
  /**
   * Starts a stage and remembers how to stop it. When the signal aborts, the stage is not waited
   * for: should it have started after all, it is stopped.
   *
   * @param name tells the stages apart
   * @returns rejects as `start` does, or with an AbortError
   */
  open<Stage>(name: string, start: () => Promise<Stage>, stop?: Stop<Stage>): Promise<Stage>
  /**
   * Stops all stages, the last one first. A stage that fails to stop does not keep others from
   * stopping: the first failure is thrown at the end. A stage that is still starting has
   * `lateStartMs` to finish, so that it can be stopped in its turn.
   */
  stop(): Promise<void>
}

type Stop<Stage> = (stage: Stage) => void | Promise<void>

interface StagesDependencies {
  readonly clock: Clock
  /** Aborts when the process is to stop. Default: never. */
  readonly signal?: AbortSignal | undefined
}

export const lateStartMs = 2_000

export function createStages({ clock, signal = neverAborted }: StagesDependencies): Stages {
  const stops: (() => void | Promise<void>)[] = []
  /** Settles when the stage that was starting at the abort has started or failed. */
  let late: Promise<unknown> | undefined
  let hasStopped = false

  const stages: Stages = {
    add(stage, stop) {
      stops.push(() => stop(stage))
      return stage
    },
    async open(_name, start, stop = () => undefined) {
      signal.throwIfAborted()
      const started = start().then(async (stage) => {
        if (hasStopped) await stop(stage)
        return hasStopped ? stage : stages.add(stage, stop)
      })
      try {
        return await unlessAborted(started, signal)
      } catch (thrown) {
        if (signal.aborted) late = started.catch(() => undefined)
        throw thrown
      }
    },
    async stop() {
      if (late) await unlessLate(late)
      hasStopped = true
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

  async function unlessLate(starting: Promise<unknown>): Promise<void> {
    const ending = new AbortController()
    const waited = clock.sleep(lateStartMs, ending.signal)
    await Promise.race([starting, waited])
    ending.abort()
  }

  return stages
}

const neverAborted = new AbortController().signal
