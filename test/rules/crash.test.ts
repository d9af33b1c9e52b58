import { readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { parsePayloadText } from './payload-fixtures.ts'
import { parseMetadata } from '../../src/rules/rule-files.ts'
import { createRandom } from '../helpers/random.ts'
import { startChild } from '../helpers/child-process.ts'
import { openStore, temporaryFolder } from './rule-fixtures.ts'

const seed = 8
const rounds = [1, 2, 3] as const
/** A round is killed somewhere in so many. */
const writesMax = 1_000
/** Each write is flushed, which takes its time on a busy disk. */
const patiently = { timeout: 120_000 }

/** What may be found of a rule by the last of its writes that was confirmed. */
const possibleStates: Readonly<Record<string, readonly string[]>> = {
  created: ['created', 'replaced'],
  replaced: ['replaced', 'absent'],
  deleted: ['absent'],
}

/** Writes rules until it is killed. @returns the last confirmed state of each, by name */
async function writeAndKill(directory: string, round: number, writes: number) {
  const child = startChild(new URL('./write-until-killed.ts', import.meta.url), [
    directory,
    `r${round}`,
  ])
  await child.printed(writes)
  await child.kill()
  return child.lines.map((line) => line.split(' ') as [name: string, state: string])
}

/** Files that are neither a whole payload nor whole metadata; hidden ones are nobody's. */
async function tornFiles(directory: string): Promise<readonly string[]> {
  const files = (await readdir(directory)).filter((file) => !file.startsWith('.'))
  const faults = await Promise.all(
    files.map(async (file) => {
      const bytes = await readFile(path.join(directory, file))
      try {
        if (file.endsWith('.meta.json')) parseMetadata(bytes)
        else parsePayloadText(bytes)
        return []
      } catch (thrown) {
        return [`${file}: ${String(thrown)}`]
      }
    }),
  )
  return faults.flat()
}

test(
  `each file is whole, old or new, after each kill -9 in the middle of ${writesMax} writes`,
  patiently,
  async () => {
    const directory = await temporaryFolder()
    const random = createRandom(seed)
    const confirmed = new Map<string, string>()
    for (const round of rounds) {
      const writes = 1 + random(writesMax)
      const said = await writeAndKill(directory, round, writes)
      for (const [name, state] of said) confirmed.set(name, state)
      expect({ round, writes, torn: await tornFiles(directory) }).toEqual({
        round,
        writes,
        torn: [],
      })
    }

    const { store } = await openStore({ directory, rulesMax: 100_000 })
    const lost = [...confirmed].filter(([name, state]) => {
      const found = store.byName(name)?.payload.description?.trimEnd() ?? 'absent'
      return !possibleStates[state]?.includes(found)
    })
    expect(lost).toEqual([])
    expect(confirmed.size).toBeGreaterThan(100)
    const tags = store.all().map((rule) => [rule.name.split('_')[1], rule.tags['line']])
    expect(tags.filter(([line, tag]) => line !== tag)).toEqual([])
  },
)
