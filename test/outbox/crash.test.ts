import { describe, expect, test } from 'vitest'
import type { Outbox } from '../../src/outbox/outbox.ts'
import { startChild } from '../helpers/child-process.ts'
import { openTestOutbox, temporaryDirectory, textsOf } from './outbox-parts.ts'

/** Only even messages of stream `settled` were settled: all odd ones must still be there. */
const odd = (texts: readonly string[]) => texts.filter((text) => Number(text) % 2 === 1)

const sorted = (texts: readonly string[]) =>
  texts.toSorted((left, right) => Number(left) - Number(right))

function lettersOf(outbox: Outbox): string[] {
  const texts: string[] = []
  let nextToken: string | undefined
  do {
    const page = outbox.deadLetters.list({ maxResults: 250, ...(nextToken && { nextToken }) })
    texts.push(...page.deadLetters.map(({ data }) => data.toString()))
    nextToken = page.nextToken
  } while (nextToken !== undefined)
  return texts
}

describe('kill -9 in the middle of appends', () => {
  test.each([20, 300, 1_500])(
    'loses no acknowledged message, splits none, and the ledger adds up (killed after %i)',
    async (acknowledgedMin) => {
      const directory = temporaryDirectory()
      const child = startChild(new URL('./append-until-killed.ts', import.meta.url), [directory])
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
      const letters = lettersOf(outbox)
      expect(sorted([...odd(settled), ...letters])).toEqual(sorted(odd(a)))
      expect(outbox.size().records).toBe(a.length + b.length + settled.length)
      const [ledger] = outbox.ledger('telemetry')
      const delivered = 3 * a.length - outbox.size().records - letters.length
      expect(ledger).toMatchObject({
        accepted: 3 * a.length,
        delivered,
        queued: outbox.size().records,
        deadLettered: letters.length,
        dropped: 0,
      })
      await outbox.close()
    },
  )
})
