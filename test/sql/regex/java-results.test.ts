/**
 * What java.util.regex of Java 17 answers, as it was asked once: each pattern with a subject, its
 * first match and the text with all matches replaced; or that Java refuses the pattern.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { createMachineEngine } from '../../../src/sql/regex/machine-engine.ts'
import { compileProgram } from '../../../src/sql/regex/program.ts'
import { readPattern } from '../../../src/sql/regex/reader.ts'
import { compileRegex } from '../../../src/sql/regex/regex.ts'
import { newWork } from '../../../src/sql/values/work.ts'

type JavaResult =
  | { readonly pattern: string; readonly valid: false }
  | {
      readonly pattern: string
      readonly valid?: undefined
      readonly subject: string
      /** `[$0]` by default. */
      readonly replacement?: string
      readonly first: string | null
      /** Null: Java throws for the replacement. */
      readonly replaced: string | null
    }

const results = JSON.parse(
  readFileSync(path.join(import.meta.dirname, 'java-results.json'), 'utf8'),
) as readonly JavaResult[]

const named = results.map((result) => ({ name: nameOf(result), result }))

function nameOf(result: JavaResult): string {
  const { pattern } = result
  if (result.valid === false) return `${JSON.stringify(pattern)} is no pattern`
  const replacement = result.replacement === undefined ? '' : ` -> ${result.replacement}`
  return `${JSON.stringify(pattern)} on ${JSON.stringify(result.subject)}${replacement}`
}

test.each(named)('$name', ({ result }) => {
  expect(answer(result)).toEqual(result)
})

/** What the engine answers, in the form of the table. */
function answer(result: JavaResult): JavaResult {
  const { pattern } = result
  const compiled = compileRegex(pattern, 'backtracking')
  if (compiled.kind === 'problem') {
    if (compiled.problem.kind === 'invalid') return { pattern, valid: false }
    throw new Error(compiled.problem.problem)
  }
  const { subject, replacement = '[$0]' } = result.valid === false ? { subject: '' } : result
  const first = compiled.regex.firstMatch(subject, newWork()) ?? null
  if (compiled.regex.matches(subject, newWork()) !== (first !== null))
    throw new Error('matches disagrees')
  const replaced = compiled.regex.replaceAll(subject, replacement, newWork()) ?? null
  return { ...result, valid: undefined, first, replaced } as JavaResult
}

describe('the machine alone finds the same first match', () => {
  const runnable = named.flatMap(({ name, result }) => {
    const read = readPattern(result.pattern)
    if (read.kind !== 'pattern' || read.pattern.demands.length > 0) return []
    const program = compileProgram(read.pattern)
    return program === undefined || result.valid === false ? [] : [{ name, result, program }]
  })

  test.each(runnable)('$name', ({ result, program }) => {
    const found = createMachineEngine(program).open(result.subject, newWork()).find(0, 0)
    expect(found?.group(0) ?? null).toBe(result.first)
  })
})
