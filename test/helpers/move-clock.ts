import type { ManualClock } from './manual-clock.ts'

/** How far the clock moves at a time. */
const stepMs = 5

/** Lets everything happen that happens at this time, and moves the clock a little. */
export async function moveClock(clock: ManualClock): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  clock.advance(stepMs)
}

/** Moves the clock until this has ended. */
export async function moveClockUntil(clock: ManualClock, ended: Promise<unknown>): Promise<void> {
  const state = { isOver: false }
  void ended.finally(() => {
    state.isOver = true
  })
  while (!state.isOver) await moveClock(clock)
}
