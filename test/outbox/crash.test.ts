import { describe, expect, it } from 'vitest'
import { startChild } from './child-process.ts'
import { openTestOutbox, temporaryDirectory, textsOf } from './outbox-parts.ts'

/** Only even messages of stream `settled` were settled: all odd ones must still be there. */
const odd = (texts: readonly string[]) => texts.filter((text) => Number(text) % 2 === 1)

describe('kill -9 in the middle of appends', () => {
  it.each([20, 300, 1_500])(
    'loses no acknowledged message and splits none (killed after %i)',
    async (acknowledgedMin) => {
      const directory = temporaryDirectory()
      const child = startChild('append-until-killed.ts', [directory])
      await child.printed(acknowledgedMin)
      await child.kill()
      const { outbox } = await openTestOutbox(directory)
      const a = textsOf(outbox, 'a')
      const b = textsOf(outbox, 'b')
      const settled = textsOf(outbox, 'settled')
      const acknowledged = new Set(child.lines)
      const inOrder = a.toSorted((left, right) => Number(left) - Number(right))
      expect(acknowledged.size).toBeGreaterThanOrEqual(acknowledgedMin)
      expect([...acknowledged].filter((text) => !a.includes(text))).toEqual([])
      expect(a).toEqual(inOrder)
      expect(b).toEqual(a)
      expect(odd(settled)).toEqual(odd(a))
      expect(outbox.size().records).toBe(a.length + b.length + settled.length)
      await outbox.close()
    },
  )
})
