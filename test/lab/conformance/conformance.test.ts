import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { createBench } from './bench.ts'
import type { Bench } from './bench.ts'
import { cases } from './cases.ts'
import type { Case } from './cases.ts'
import { peers, startTarget } from './targets.ts'
import type { Target, TargetName } from './targets.ts'

/**
 * The same calls of AWS's client against the lab and against two other servers that stand in for
 * Kinesis. Where they differ, the API Reference decides, and docs/KINESIS.md lists it.
 */
const targets = ['sluice', ...peers] as const
/** Longer than any machine under load needs. */
const startMs = 180_000

interface Run {
  readonly outcomes: ReadonlyMap<string, unknown>
  /** Why there are none. */
  readonly skipped?: string
}

const runs = new Map<TargetName, Run>()

beforeAll(async () => {
  await Promise.all(targets.map(async (name) => runs.set(name, await runTarget(name))))
  for (const [name, { skipped }] of runs) {
    if (skipped) console.warn(`${name} does not run here: ${skipped}`)
  }
}, startMs)

const casesFor = (name: TargetName) =>
  name === 'sluice' ? cases : cases.filter(({ notAsked }) => notAsked?.[name] === undefined)

async function runTarget(name: TargetName): Promise<Run> {
  let target: Target
  try {
    target = await startTarget(name)
  } catch (error) {
    return { outcomes: new Map(), skipped: String(error) }
  }
  const bench = createBench(target.port)
  try {
    // All at the same time: each case has its streams for itself.
    return {
      outcomes: new Map(
        await Promise.all(
          casesFor(name).map(async (it) => [it.name, await outcomeOf(it, bench)] as const),
        ),
      ),
    }
  } finally {
    bench.client.destroy()
    await target.close()
  }
}

async function outcomeOf(it: Case, bench: Bench): Promise<unknown> {
  try {
    return await it.run(bench)
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : error
  }
}

test.each(cases)('the lab does what the API Reference says: $name', ({ name, expected }) => {
  expect(runs.get('sluice')?.outcomes.get(name)).toEqual(expected)
})

describe.each(peers)('%s differs where docs/KINESIS.md says so, and nowhere else', (peer) => {
  const [differing, agreeing] = [true, false].map((wanted) =>
    casesFor(peer).filter(({ differences }) => (differences?.[peer] !== undefined) === wanted),
  )

  test.each(agreeing ?? [])('as in the API Reference: $name', ({ name, expected }) => {
    const { outcomes, skipped } = runs.get(peer) ?? { outcomes: new Map() }
    expect(skipped === undefined ? outcomes.get(name) : expected).toEqual(expected)
  })

  test.each(differing ?? [])('otherwise: $name', ({ name, expected }) => {
    const { outcomes, skipped } = runs.get(peer) ?? { outcomes: new Map() }
    expect(skipped === undefined ? outcomes.get(name) : 'skipped').not.toEqual(expected)
  })
})

test('docs/KINESIS.md lists each difference', () => {
  const text = readFileSync(new URL('../../../docs/KINESIS.md', import.meta.url), 'utf8')
  const listed = text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  const [head = [], , ...rows] = listed.slice(listed.findIndex(([cell]) => cell === headCells[0]))
  expect(head).toEqual(headCells)
  expect(rows.slice(0, wantedRows().length)).toEqual(wantedRows())
})

const headCells = ['what', 'API Reference', ...peers]

const wantedRows = () =>
  cases
    .filter(({ differences }) => differences)
    .map(({ name, expected, differences, notAsked }) => [
      name,
      saidOf(expected),
      ...peers.map((peer) =>
        notAsked?.[peer] ? `not asked: ${notAsked[peer]}` : (differences?.[peer] ?? 'the same'),
      ),
    ])

function saidOf(expected: unknown): string {
  if (typeof expected !== 'string') return 'so'
  return expected === 'no error' ? 'carried out' : `\`${expected}\``
}
