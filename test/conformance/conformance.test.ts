import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import {
  alternativesOf,
  caseFiles,
  casesFolder,
  findDifference,
  readCases,
  runCase,
} from './helpers.ts'
import type { Outcome } from './helpers.ts'

/** Documented functions that are not there yet: a case that stops at one of them is skipped. */
const functionsToCome: ReadonlySet<string> = new Set()

/** Uncertain cases in which Sluice does what the case lists as an alternative. */
const alternativesTaken: ReadonlySet<string> = new Set([
  'functions-encode/decode-scheme', // a scheme that does not exist is refused, not Undefined
])

interface Tally {
  passed: number
  failed: number
  readonly skipped: Map<string, number>
}

const tallies = new Map<string, Tally>()

/**
 * The function to come that a refusal names, or undefined when it is refused for another reason.
 */
function missingFunction(outcome: Outcome): string | undefined {
  if (outcome.kind !== 'sqlError') return undefined
  const name = /^unknown function (\w+)\(\)/.exec(outcome.message)?.[1]?.toLowerCase()
  return name !== undefined && functionsToCome.has(name) ? `${name}()` : undefined
}

describe.each(caseFiles())('%s', (file) => {
  const tally: Tally = { passed: 0, failed: 0, skipped: new Map() }
  tallies.set(file, tally)
  test.for(readCases(file))('$id', (each, { skip }) => {
    const outcome = runCase(each)
    const missing = missingFunction(outcome)
    if (missing !== undefined) {
      tally.skipped.set(missing, (tally.skipped.get(missing) ?? 0) + 1)
      skip(`needs ${missing}`)
    }
    const wanted = alternativesTaken.has(each.id) ? alternativesOf(each) : [each]
    const differences = wanted.map((one) => findDifference(outcome, one))
    const difference = differences.includes(undefined) ? undefined : differences.join(' or ')
    if (difference === undefined) tally.passed++
    else tally.failed++
    expect(difference).toBeUndefined()
  })
})

function line(name: string, ...counts: readonly (number | string)[]): string {
  return name.padEnd(28) + counts.map((count) => String(count).padStart(9)).join('')
}

afterAll(() => {
  const rows = [...tallies].map(([file, { passed, failed, skipped }]) => ({
    file,
    passed,
    failed,
    skipped: [...skipped.values()].reduce((sum, count) => sum + count, 0),
    missing: [...skipped.keys()].join(' '),
  }))
  const sum = (key: 'passed' | 'failed' | 'skipped') =>
    rows.reduce((total, row) => total + row[key], 0)
  const table = [
    line('conformance', 'passed', 'failed', 'skipped'),
    ...rows.map(({ file, passed, failed, skipped, missing }) =>
      `${line(file, passed, failed, skipped)}  ${missing}`.trimEnd(),
    ),
    line('total', sum('passed'), sum('failed'), sum('skipped')),
  ]
  console.log(table.join('\n'))
})

const published = path.resolve(import.meta.dirname, '../../../shared/conformance/sql')

test.skipIf(!existsSync(published))('the cases are those that were published', () => {
  expect(readdirSync(casesFolder).toSorted()).toEqual(readdirSync(published).toSorted())
  const changed = caseFiles().filter((file) => {
    const [copy, original] = [casesFolder, published].map((folder) =>
      readFileSync(path.join(folder, file), 'utf8'),
    )
    return copy !== original
  })
  expect(changed).toEqual([])
})
