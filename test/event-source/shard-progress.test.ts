import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createShardProgress } from '../../src/event-source/shard-progress.ts'

test('the checkpoint never passes a record that is not finished, and reaches the last one', () => {
  fc.assert(
    fc.property(
      fc
        .integer({ min: 1, max: 3_000 })
        .chain((count) => fc.tuple(fc.constant(count), fc.infiniteStream(fc.nat()))),
      ([count, choices]) => {
        const reached: number[] = []
        const progress = createShardProgress((number) => reached.push(Number(number)))
        const finished = new Set<number>()
        const open: { readonly number: number; finish(): void }[] = []
        for (let number = 0; number < count || open.length > 0;) {
          // Some are begun, some finished, as it happens.
          const choice = choices.next().value
          if (number < count && (open.length === 0 || choice % 2 === 0)) {
            open.push({ number, ...progress.begin(String(number)) })
            number++
            continue
          }
          const [record] = open.splice(choice % open.length, 1)
          finished.add(record?.number ?? -1)
          record?.finish()
          const upTo = Number(progress.finishedUpTo() ?? -1)
          expect(finished.has(upTo + 1)).toBe(false)
          expect(upTo === -1 || finished.has(upTo)).toBe(true)
        }
        expect(progress.finishedUpTo()).toBe(String(count - 1))
        expect(reached).toEqual(reached.toSorted((a, b) => a - b))
      },
    ),
    { numRuns: 20 },
  )
})
