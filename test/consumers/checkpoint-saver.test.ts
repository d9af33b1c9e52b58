import { array, assert, asyncProperty, nat } from 'fast-check'
import { expect, test } from 'vitest'
import { createCheckpointSaver } from '../../src/consumers/checkpoints.ts'
import type { Checkpoint } from '../../src/consumers/checkpoints.ts'

const after = (number: number): Checkpoint => ({ kind: 'after', sequenceNumber: String(number) })

async function microtasks(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await Promise.resolve()
}

test('the last noted checkpoint is saved when flush resolves, at whatever moment it was noted', async () => {
  const saveDurations = array(nat(6), { minLength: 1, maxLength: 8 })
  const pauses = array(nat(12), { minLength: 1, maxLength: 20 })
  await assert(
    asyncProperty(saveDurations, pauses, async (durations, pausesBefore) => {
      let saved: Checkpoint | undefined
      let calls = 0
      const saver = createCheckpointSaver(
        async (checkpoint) => {
          await microtasks(durations[calls++ % durations.length] ?? 0)
          saved = checkpoint
        },
        () => undefined,
      )
      for (const [index, pause] of pausesBefore.entries()) {
        await microtasks(pause)
        saver.note(after(index))
      }
      await saver.flush()
      expect(saved).toEqual(after(pausesBefore.length - 1))
    }),
  )
})
