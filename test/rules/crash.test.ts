import { describe, expect, it } from 'vitest'
import { startChild } from '../outbox/child-process.ts'
import { openStore, temporaryFolder } from './rule-fixtures.ts'

/** What may be found of a rule by the last of its writes that was confirmed. */
const possibleStates: Readonly<Record<string, readonly string[]>> = {
  created: ['created', 'replaced'],
  replaced: ['replaced', 'absent'],
  deleted: ['absent'],
}

describe('kill -9 in the middle of writes', () => {
  it.each([10, 150])('keeps all that was confirmed, after %i writes', async (confirmedMin) => {
    const directory = await temporaryFolder()
    const child = startChild('../rules/write-until-killed.ts', [directory])
    await child.printed(confirmedMin)
    await child.kill()

    const { store } = await openStore({ directory, rulesMax: 100_000 })
    const confirmed = new Map(child.lines.map((line) => line.split(' ') as [string, string]))
    const lost = [...confirmed].filter(([name, state]) => {
      const found = store.byName(name)?.payload.description ?? 'absent'
      return !possibleStates[state]?.includes(found)
    })
    expect(lost).toEqual([])
    expect(confirmed.size).toBeGreaterThan(3)
    const tags = store.all().map((rule) => [rule.name.slice(2, 3), rule.tags['line']])
    expect(tags.filter(([line, tag]) => line !== tag)).toEqual([])
  })
})
